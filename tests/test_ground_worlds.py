"""Ground through the years on a few worlds of known truth; benchmarks/ground.py measures more of them."""

import numpy as np
import pytest

from benchmarks.ground import _matched, _plain, measure_world, scores
from benchmarks.worlds import YEARS, make_world, render_year
from pipeline.config import Config

pytestmark = pytest.mark.slow

CONFIG = Config()


def test_certain_gain_is_true_and_clearings_are_found():
    """Beside fields that rotate, logged patches and a reservoir that falls and rises."""
    found = np.sum([scores(measure_world(make_world("growing", seed), 8, CONFIG)) for seed in (101, 102)], axis=0)
    area, false, far, patches, hit = found
    assert area > 20e4
    assert false / area <= 0.05
    assert far / area <= 0.01
    assert patches >= 12
    assert hit >= 0.9 * patches


@pytest.mark.parametrize("kind", ["restless", "still"])
def test_nothing_is_called_where_no_ground_is_taken(kind):
    for seed in (101, 102):
        found = measure_world(make_world(kind, seed), 8, CONFIG)
        wrong = [
            (c.metric, c.zone_id, c.year_from, c.year_to)
            for c in found.changes
            if c.verdict in {"increase", "decrease"}
        ]
        assert not wrong
        assert sum(c.verdict == "no_detectable_change" for c in found.changes) > 80


def test_fewer_dates_do_not_shrink_or_swell_the_ground():
    drift = {way: [] for way in (_matched, _plain)}
    for seed in (1, 2, 3):
        season = render_year(make_world("still", seed), YEARS[0], 24)
        for way, shares in drift.items():
            whole, thin = way(season, CONFIG), way(season[::4], CONFIG)
            seen = whole.ground_seen & thin.ground_seen
            shares.append(100 * ((thin.ground[0] & seen).sum() / (whole.ground[0] & seen).sum() - 1))
    assert abs(np.mean(drift[_matched])) < 0.6
    assert np.mean(drift[_plain]) > np.mean(drift[_matched])
