"""What cloud, shadow and haze is left among the pixels that are used, and what the mask costs.

    python -m benchmarks.clear_sky [folder of the reference mask]

Three tables: masks of one date without scene classes against a hand-made mask; the simulated archive with its true
sky, by the mask of one date and with the pixel's own history; and piles that come and go within a year. The rows of
the trained mask need the extra ``cloudmask`` and are left out without it, and the first table needs the reference
mask (``sentinel2.npz`` of ukis-csmask's tests: 512 x 512 pixels of 30 m; 0 shadow, 1 water, 3 land, 4 cloud).
"""

import dataclasses
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from models._indices import brightness
from pipeline.clear import CLOUD, SHADOW
from pipeline.config import ClearConfig, Config, read_config
from pipeline.findings import PreparedScene
from pipeline.grid import burn
from pipeline.history import HistoryRules, sky_departures
from pipeline.imagery import Image, StoredScene
from pipeline.kernels.dates import BANDS as ORDER
from pipeline.kernels.dates import NO_DATA
from pipeline.passes.mask import read_dates
from pipeline.passes.scene import BANDS, calibrate, inspect, scene_codes, survey
from pipeline.plan import open_store, plan_site
from pipeline.remote import line_to
from pipeline.sites import read_sites
from pipeline.sources._sim_scenes import plan_year
from pipeline.sources._sim_sites import SITES
from pipeline.sources._sim_sky import Sky, make_sky, sky_at
from pipeline.sources.simulated import simulate
from pipeline.store import fetch
from pipeline.types import Grid

Bool = NDArray[np.bool_]

YEARS = (2018, 2019)
SUN_AZIMUTH_DEG = 155.0
"""Of the reference scene: away from it every cloud has a shadow of the reference mask."""
WAYS = ("spectral", "csmask") if importlib.util.find_spec("onnxruntime") else ("spectral",)
NO_HISTORY = ClearConfig(history_min_dates=100_000)
MISSED = (3, 10)
"""Scene classes taken away for the second row: as if Sen2Cor had missed every shadow and all thin cloud."""


# --- one date against a mask made by hand ---


def against_reference(folder: Path) -> None:
    """Print recall and precision of cloud and shadow, and what is hidden among the pixels called clear."""
    with np.load(folder / "sentinel2.npz") as file:
        pixels, mask = file["img"], np.repeat(np.repeat(file["msk"][..., 0], 3, axis=0), 3, axis=1)
    fine = np.repeat(np.repeat(pixels, 3, axis=0), 3, axis=1)
    bands = {b: fine[..., n] for n, b in enumerate(("blue", "green", "red", "nir", "swir16", "swir22"))}
    image = Image(Grid(32652, 0.0, 0.0, mask.shape[1], mask.shape[0]), bands)
    cloud, shadow = mask == 4, mask == 0  # noqa: PLR2004 - classes of the reference
    print("One date, no scene classes. Per cent; edges grown by the settings in the rows marked so.")
    print(f"{'':22}{'cloud':>16}{'shadow':>16}{'hidden among':>14}{'clear':>8}")
    print(f"{'':22}{'recall':>8}{'prec.':>8}{'recall':>8}{'prec.':>8}{'called clear':>14}{'lost':>8}")
    for way in WAYS:
        for grown, settings in ((False, {"cloud_dilate_m": 0.0, "shadow_dilate_m": 0.0}), (True, {})):
            codes = scene_codes(image, SUN_AZIMUTH_DEG, ClearConfig(without_scl=way, **settings))
            found, dim = codes == CLOUD, codes == SHADOW
            clear = ~found & ~dim
            row = (
                found[cloud].mean(), cloud[found].mean(), dim[shadow].mean(), shadow[dim].mean(),
                (cloud | shadow)[clear].mean(), (~clear)[~cloud & ~shadow].mean(),
            )  # fmt: skip
            cells = "".join(
                f"{100 * v:{w}.{d}f}" for v, w, d in zip(row, (8, 8, 8, 8, 14, 8), (1, 1, 1, 1, 2, 1), strict=True)
            )
            print(f"{way + (', grown' if grown else ''):22}{cells}")


# --- the simulated archive ---


@dataclasses.dataclass(frozen=True)
class SimYear:
    """Scenes of one simulated site and year, and the truth on its grid."""

    grid: Grid
    scenes: Sequence[PreparedScene]
    sky: Sequence[Sky]
    coal: Bool


def sim_years(folder: Path) -> Iterator[SimYear]:
    """Simulate an archive and prepare its scenes; not registered, so that the sky lies where it was drawn."""
    simulate(folder / "sim", years=YEARS)
    config = read_config(folder / "sim" / "config.yaml")
    line = line_to(config.source, folder / "traffic")
    line.ledger.opened()
    store = open_store(config, line)
    for site in read_sites(config.sites, config.limits, []):
        planned, sim = plan_site(site, config, line), SITES[site.id]
        grid = planned.grid
        found = [fetch(store, scene, grid, BANDS) for scene in planned.scenes]
        stored = [s for s in found if isinstance(s, StoredScene)]
        scenes = calibrate(stored, [inspect(s, grid, config) for s in stored], site, config)
        used = [s for s in (survey(s, site, grid, config) for s in scenes) if s.used]
        x = grid.left_m + 10 * (np.arange(grid.width) + 0.5) - sim.origin_m[0]
        y = grid.top_m - 10 * (np.arange(grid.height) + 0.5) - sim.origin_m[1]
        for year in range(YEARS[0], YEARS[1] + 1):
            of_year = [s for s in used if s.stored.scene.date.year == year]
            drawn = {s.datetime: s for s in plan_year(sim, year, 1)}
            sky = [sky_at(make_sky(drawn[s.stored.scene.datetime]), *np.meshgrid(x, y)) for s in of_year]
            outlines = [p.outline(year) for p in sim.patches if p.material == "coal"]
            piles = shapely.union_all([o for o in outlines if o is not None])
            yield SimYear(grid, of_year, sky, burn(affinity.translate(piles, *sim.origin_m), grid))


def on_simulated(years: Sequence[SimYear]) -> None:
    """Print what is hidden among used pixels, and what the history takes of clear ground and clear coal."""
    print("\nSimulated archive. Per cent. Ground: what is not dark on most dates (dark ground is never shadow).")
    print(f"{'':36}{'hidden among used':>26}{'clear deleted':>22}{'haze kept':>11}")
    print(f"{'':36}{'ground':>13}{'all':>13}{'ground':>11}{'coal':>11}{'on coal':>11}")
    for name, scl, way in (
        ("scene classes", "as they are", "spectral"), ("shadow and thin cloud unclassed", "missed", "spectral"),
        *((f"no classes, {way}", "none", way) for way in WAYS),
    ):  # fmt: skip
        before = [seen_of(year, scl, NO_HISTORY.model_copy(update={"without_scl": way})) for year in years]
        after = [seen_of(year, scl, ClearConfig(without_scl=way)) for year in years]
        for label, masks in ((f"{name}, one date", before), (" with history", after)):
            print(f"{label:36}" + row_of(years, masks, before))


def seen_of(year: SimYear, scl: str, config: ClearConfig) -> tuple[Bool, Bool]:
    """Usable pixels of every date, and ground that is not dark on most."""
    with changed_classes(scl) as read:
        dates = read_dates(year.grid, [read(s) for s in year.scenes], config, Path(tempfile.gettempdir()))
    known = [np.where(values == NO_DATA, np.nan, values * np.float32(1e-4)) for _, _, values in dates.values.strips(0)]
    by_date = [dict(zip(ORDER, date, strict=True)) for date in np.moveaxis(np.concatenate(known, axis=2), 1, 0)]
    bright = np.nanmedian([brightness(bands) for bands in by_date], axis=0) > 0.08  # noqa: PLR2004 - science 2.3
    return dates.usable(slice(None)).view(bool), bright


class changed_classes:  # noqa: N801 - used as a with statement
    """Scenes whose classes are as they are, taken away, or without MISSED (read so for as long as this is open)."""

    def __init__(self, scl: str) -> None:
        self.scl = scl

    def __enter__(self) -> Self:
        from pipeline.passes import mask  # noqa: PLC0415 - the name in that module is the one replaced

        self.module, self.original = mask, mask.read_image
        if self.scl == "missed":
            mask.read_image = self.reading  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        self.module.read_image = self.original

    def reading(self, *what: object) -> Image:
        """Read an image and unclass what Sen2Cor is to have missed."""
        image = self.original(*what)  # type: ignore[arg-type]
        return dataclasses.replace(image, scl=np.where(np.isin(image.scl, MISSED), np.uint8(5), image.scl))

    def __call__(self, scene: PreparedScene) -> PreparedScene:
        """Return the scene, without its classes when there are to be none."""
        if self.scl != "none":
            return scene
        bands = tuple(tuple(b for b in item if b.band != "scl") for item in scene.stored.bands)
        return dataclasses.replace(scene, stored=dataclasses.replace(scene.stored, bands=bands))


def row_of(years: Sequence[SimYear], masks: Sequence[tuple[Bool, Bool]], before: Sequence[tuple[Bool, Bool]]) -> str:
    """One row of the table, counted over all years."""
    counts = np.zeros((5, 2))
    for year, (seen, bright), (was, _) in zip(years, masks, before, strict=True):
        clean, haze = np.array([s.clear for s in year.sky]), np.array([s.haze for s in year.sky])
        calm = was & clean & (haze < 0.005)  # noqa: PLR2004 - no haze to speak of
        hazy = was & clean & (haze > 0.03) & year.coal  # noqa: PLR2004 - lifts anthracite past its limit
        for place, (part, whole) in enumerate(
            ((seen & ~clean & bright, seen & bright), (seen & ~clean, seen), (calm & bright & ~seen, calm & bright),
             (calm & year.coal & ~seen, calm & year.coal), (hazy & seen, hazy))
        ):  # fmt: skip
            counts[place] += part.sum(), whole.sum()
    shares = 100 * counts[:, 0] / np.maximum(counts[:, 1], 1)
    return "".join(f"{share:{width}.3f}" for share, width in zip(shares, (13, 13, 11, 11, 11), strict=True))


# --- piles that come and go ---


COAL = np.array([0.040, 0.046, 0.052])
SOIL = np.array([0.100, 0.245, 0.330])
PATTERNS: dict[str, Sequence[Sequence[int]]] = {
    "comes and stays": [range(first, 10) for first in range(1, 10)],
    "goes": [range(last) for last in range(1, 10)],
    "there on two dates": [(first, first + 1) for first in range(9)],
    "away on one date": [[d for d in range(10) if d != gone] for gone in range(10)],
    "there on one date": [[only] for only in range(10)],
    "every other date": [range(0, 10, 2), range(1, 10, 2)],
}


def comes_and_goes() -> None:
    """Print what share of a pile's pixels and dates is deleted, with no cloud in view and with cloud everywhere."""
    config = Config().clear
    rules = HistoryRules(config.history_min_dates, config.history_veil, config.history_shade)
    print("\nPile on soil, ten dates, history only. Per cent of all its pixels and dates deleted.")
    print(f"{'':22}{'no cloud in view':>18}{'cloud on every date':>21}")
    for name, patterns in PATTERNS.items():
        lost = [[deleted(list(dates), shadable, rules) for dates in patterns] for shadable in (False, True)]
        print(f"{name:22}{100 * np.mean(lost[0]):18.2f}{100 * np.mean(lost[1]):21.2f}")


def deleted(present: Sequence[int], shadable: bool, rules: HistoryRules) -> float:
    """Share of a patch's pixels and dates, with the pile and without, that the history drops."""
    rng = np.random.default_rng(len(present))
    stack = np.broadcast_to(SOIL, (10, 30, 30, 3)).copy()
    stack[list(present), 10:20, 10:20] = COAL
    stack = stack * (1 + rng.normal(0, 0.03, (10, 1, 1, 3))) + rng.normal(0, 0.004, stack.shape)
    values = np.rint(np.moveaxis(stack, -1, 0) * 1e4).astype(np.int16)
    everywhere = np.ones(stack.shape[:3], dtype=bool)
    veiled, shaded = sky_departures(values, (0, 1, 2), everywhere, everywhere & shadable, rules)
    return float((veiled | shaded)[:, 10:20, 10:20].mean())


def main() -> None:
    """Print the three tables."""
    if len(sys.argv) > 1:
        against_reference(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        on_simulated(list(sim_years(Path(folder))))
    comes_and_goes()


if __name__ == "__main__":
    main()
