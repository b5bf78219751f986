"""Quantiles of chosen values against numpy's, which sorts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models._rank_kernels import quantile, quantiles

VALUES = arrays(np.float32, st.integers(1, 60), elements=st.floats(-2.0, 2.0, width=32))


@settings(max_examples=300, deadline=None)
@given(VALUES, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_quantiles_are_those_of_numpy_and_what_is_not_chosen_does_not_count(values, share, seed):
    rng = np.random.default_rng(seed)
    chosen = rng.random(2 * values.size) < 0.5
    mixed = np.full(chosen.size, np.nan, dtype=np.float32)
    kept = np.resize(values, chosen.sum())
    mixed[chosen] = kept
    if not kept.size:
        assert np.isnan(quantile(mixed, chosen, share))
        return
    # Numpy rounds the place to float32 as well, which moves it between two values by a millionth of their distance.
    exact = np.quantile(kept.astype(np.float64), share)
    assert quantile(mixed, chosen, share) == pytest.approx(exact, rel=1e-7, abs=1e-12)
    assert quantile(mixed, chosen, 0.5) == np.median(kept)


@pytest.mark.parametrize("share", [0.0, 0.005, 0.25, 0.5, 0.75, 1.0])
def test_a_picture_of_counts_and_one_of_reflectance(share):
    rng = np.random.default_rng(3)
    for picture in (rng.poisson(900, (90, 110)), rng.normal(0, 0.1, (90, 110)), np.zeros((90, 110))):
        values = picture.astype(np.float32)
        chosen = rng.random(values.shape) < 0.7
        exact = np.quantile(values[chosen].astype(np.float64), share)
        assert quantile(values, chosen, share) == pytest.approx(exact, rel=1e-7)
        view = quantile(values[::-1, ::2], chosen[::-1, ::2], share)
        assert view == quantile(values[::-1, ::2].copy(), chosen[::-1, ::2].copy(), share)


def test_nan_is_never_chosen_and_several_shares_are_found_at_once():
    rng = np.random.default_rng(7)
    values = rng.normal(0, 1, (50, 60)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0, :2] = np.array([0xFFC00000, 0x7FC00000], dtype=np.uint32).view(np.float32)  # NaN of both signs
    shares = (0.0, 0.005, 0.25, 1.0)
    exact = np.nanquantile(values.astype(np.float64), shares)
    assert quantiles(values, np.ones(values.shape, dtype=bool), shares) == pytest.approx(exact, rel=1e-7)
    assert np.isnan(quantiles(values, np.isnan(values), shares)).all()


def test_largest_and_least_of_both_signs():
    values = np.array([-np.inf, -1e-40, -0.0, 0.0, 1e-40, np.inf], dtype=np.float32)
    every = np.ones(6, dtype=bool)
    assert [quantile(values, every, rank / 5) for rank in range(6)] == values.tolist()
