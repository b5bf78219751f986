"""The trained mask as an extra: what is asked of it, what is made of its answer, and what is said without it."""

import sys
import types

import numpy as np
import pytest
from imagery_fixture import an_image
from test_clear import reference_mask

from pipeline import cli, learned
from pipeline.clear import CLEAR, CLOUD, SHADOW
from pipeline.config import ClearConfig
from pipeline.errors import InputError
from pipeline.passes.scene import scene_codes

TRAINED = ClearConfig(without_scl="csmask", cloud_dilate_m=0, shadow_dilate_m=0)


@pytest.fixture
def network(monkeypatch):
    """Stand in for the package: bright is cloud, very dark is shadow; keeps what it was asked."""
    asked = {}

    def csmask(img, **about):
        asked.update(about, img=img)
        level = img.mean(axis=-1)
        return types.SimpleNamespace(csm=np.where(level > 0.4, 1, np.where(level < 0.03, 2, 0))[..., np.newaxis])

    package, module = types.ModuleType("ukis_csmask"), types.ModuleType("ukis_csmask.mask")
    package.mask, module.CSmask = module, csmask
    monkeypatch.setitem(sys.modules, "ukis_csmask", package)
    monkeypatch.setitem(sys.modules, "ukis_csmask.mask", module)
    monkeypatch.setattr(learned, "check_installed", lambda: None)
    return asked


def scene(shape=(62, 64)):
    """Cloud in the east, its shadow west of it, a lake east of both, and one pixel without swir22."""
    level = np.full(shape, 0.15)
    level[30:36, 45:51], level[30:36, 12:18], level[3:9, 57:63] = 0.6, 0.01, 0.01
    bands = dict.fromkeys(("blue", "green", "red", "nir", "swir16", "swir22"), level)
    hole = level.copy()
    hole[50, 50] = np.nan
    return level, an_image(shape, None, **bands | {"swir22": hole})


def test_the_network_sees_surface_reflectance_at_30_m(network):
    level, image = scene()
    cloud, shadow = learned.cloud_and_shadow(image.bands)
    assert network["img"].shape == (21, 22, 6)
    assert network["img"].dtype == np.float32
    assert network["product_level"] == "l2a"
    assert network["band_order"] == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert np.isfinite(network["img"]).all()
    assert network["img"][10, 15] == pytest.approx(np.full(6, 0.6))
    assert np.array_equal(cloud, level == 0.6)
    assert np.array_equal(shadow, level == 0.01)


def test_what_it_calls_shadow_must_lie_behind_a_cloud(network):
    level, image = scene()
    codes = scene_codes(image, 90.0, TRAINED)
    assert np.array_equal(codes == CLOUD, level == 0.6)
    shaded = level == 0.01
    shaded[:10] = False  # the lake, within reach of the eastern edge but not behind the cloud
    assert np.all(codes[shaded] == SHADOW)
    near = TRAINED.model_copy(update={"shadow_reach_m": 5.0})
    assert np.all(scene_codes(image, 90.0, near)[shaded] == CLEAR)


def test_scene_classes_of_the_archive_go_before_it(network):
    _, image = scene()
    with_classes = an_image((62, 64), 5, **dict(image.bands))
    assert not np.any(scene_codes(with_classes, 90.0, TRAINED) == CLOUD)
    assert not network


def test_gaps_alone_are_neither(network):
    _, image = scene()
    nothing = {band: np.full_like(values, np.nan) for band, values in image.bands.items()}
    assert not np.any(learned.cloud_and_shadow(nothing))
    assert not network


def test_asking_for_it_without_the_extra_is_refused_before_any_work(settings, monkeypatch, capsys):
    monkeypatch.setattr(learned.importlib.util, "find_spec", {}.get)
    with pytest.raises(InputError, match=r"ukis_csmask and onnxruntime not installed; pip install"):
        learned.check_installed()
    status = cli.main(["plan", "--config", str(settings(clear={"without_scl": "csmask"}))])
    told = capsys.readouterr().err
    assert status == 2
    assert told.count("\n") == 1
    assert "stockline[cloudmask]" in told


def test_the_network_itself_against_a_reference_mask():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("ukis_csmask")
    bands, mask = reference_mask()
    fine = {band: np.repeat(np.repeat(values, 3, axis=0), 3, axis=1) for band, values in bands.items()}
    cloud, shadow = (found[1::3, 1::3] for found in learned.cloud_and_shadow(fine))
    assert cloud[mask == 4].mean() > 0.95
    assert shadow[mask == 0].mean() > 0.95
    assert np.isin(mask, (0, 4))[~cloud & ~shadow].mean() < 0.01
