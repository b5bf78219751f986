"""Errors of the shift on real and simulated scenes, and how many faults of the offset are caught.

    python -m benchmarks.geometry ARCHIVES [SIMULATED]

ARCHIVES holds real archives without the offset (a folder of scenes each, see SEASONS); SIMULATED is what
``stockline simulate`` wrote. Only dates with the sun as high as the pipeline asks for are taken.
"""

import itertools
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.offset_faults import Delivered, as_new, evidence_of, outcomes, read_archive, settled_dn
from pipeline.align import Shift, estimate_shift
from pipeline.config import read_config
from pipeline.imagery import StoredScene
from pipeline.passes.scene import BANDS, calibrate, choose_reference, draw, inspect, register, survey
from pipeline.plan import open_store, plan_site
from pipeline.remote import line_to
from pipeline.settings import Settings
from pipeline.store import fetch

Array = NDArray[np.float64]
SEASONS = {"boadella": "20200601", "belgium": "20210301"}
"""Archive to the first date (yyyymmdd) that is taken: before it the sun is too low."""
REGISTERED = ("green", "red", "nir")
_CELL = 3
_MOVES = ((1, 0), (0, 1), (-1, 2), (2, -2))


def stack(scene: Delivered) -> NDArray[np.float32]:
    """Reflectance of the bands a shift is measured in; shape (bands, rows, columns)."""
    return np.stack([scene.dn[band] * np.float32(1e-4) for band in REGISTERED])


def shift(reference: NDArray[np.float32], scene: NDArray[np.float32]) -> Shift:
    """Shift of a scene all of which is clear; fails where there is none."""
    found = estimate_shift(reference, scene, np.isfinite(reference).all(axis=0) & np.isfinite(scene).all(axis=0))
    if found is None:
        raise ValueError("too little in common")
    return found


def coarse(image: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Means of 3 x 3 pixels on a lattice that begins (rows, columns) further in."""
    height, width = ((size - 2 * _CELL) // _CELL * _CELL for size in image.shape[-2:])
    cut = image[:, _CELL + rows : _CELL + rows + height, _CELL + columns : _CELL + columns + width]
    return cut.reshape(len(image), height // _CELL, _CELL, width // _CELL, _CELL).mean(axis=(2, 4)).astype(np.float32)


def closures(scenes: list[Delivered]) -> tuple[Array, Array]:
    """Return what rings of three dates miss closing by, metres, and that in the standard errors stated."""
    images = [stack(scene) for scene in scenes]
    pairs = {(a, b): shift(images[a], images[b]) for a, b in itertools.combinations(range(len(images)), 2)}
    off, said = [], []
    for a, b, c in itertools.combinations(range(len(images)), 3):
        ring = pairs[a, b], pairs[b, c], pairs[a, c]
        off.append([getattr(ring[0], k) + getattr(ring[1], k) - getattr(ring[2], k) for k in ("x_m", "y_m")])
        said.append([np.sqrt(sum(getattr(s, k) ** 2 for s in ring)) for k in ("sigma_x_m", "sigma_y_m")])
    return np.array(off), np.array(off) / np.array(said)


def thirds(scenes: list[Delivered]) -> Array:
    """Errors of shifts by thirds of a pixel between real dates, without interpolation; pixels of 30 m called 10 m."""
    off = []
    for a, b in itertools.permutations([stack(scene) for scene in scenes], 2):
        still = shift(coarse(a, 0, 0), coarse(b, 0, 0))
        for rows, columns in _MOVES:
            found = shift(coarse(a, 0, 0), coarse(b, rows, columns))
            off.append([found.x_m - still.x_m + columns * 10 / 3, found.y_m - still.y_m - rows * 10 / 3])
    return np.array(off)


def simulated_errors(folder: Path) -> Array:
    """Errors of the shifts of a simulated archive against its truth, metres east and north."""
    settings = Settings.make(read_config(folder / "config.yaml"), [])
    config = settings.config
    truth = {s["id"]: s for s in json.loads((folder / "truth.json").read_text(encoding="utf-8"))["scenes"]}
    off = []
    line = line_to(config.source, config.out / ".work" / "traffic")
    line.ledger.opened()
    for site in settings.sites:
        planned = plan_site(site, config, line)
        store = open_store(config, line)
        fetched = [fetch(store, scene, planned.grid, BANDS) for scene in planned.scenes]
        stored = [s for s in fetched if isinstance(s, StoredScene)]
        scenes = calibrate(stored, [inspect(s, planned.grid, config) for s in stored], site, config)
        scenes = [survey(scene, site, planned.grid, config) for scene in scenes]
        reference = choose_reference(scenes)
        if reference is None:
            continue
        with TemporaryDirectory() as work:
            drawn = draw(reference, planned.grid, config, Path(work))
            registered = [register(scene, drawn, planned.grid, config) for scene in scenes]
        still = truth[reference.stored.scene.scene_id]
        for scene, placed in zip(scenes, registered, strict=True):
            if placed.used and scene is not reference:
                true = truth[placed.stored.scene.scene_id]
                c = placed.calibration
                off.append([getattr(c, k) - true[k] + still[k] for k in ("shift_x_m", "shift_y_m")])
    return np.array(off)


def row(name: str, off: Array, stated: Array | None = None) -> None:
    """Print RMS and 95th percentile per axis, and the share within 1.96 standard errors where those are known."""
    rms, p95 = np.sqrt(np.mean(off**2, axis=0)), np.quantile(np.abs(off), 0.95, axis=0)
    inside = "" if stated is None else f"{100 * np.mean(np.abs(stated) < 1.96):7.0f}"  # noqa: PLR2004
    print(f"{name:34} {len(off):5d} {rms[0]:7.2f} {rms[1]:7.2f} {p95[0]:7.2f} {p95[1]:7.2f} {inside}")


def main(archives: Path, simulation: Path | None) -> None:
    """Print the shift errors, then the faults by archive."""
    scenes = {name: read_archive(archives / name, first) for name, first in SEASONS.items()}
    print(f"{'shift, m':34} {'n':>5} {'RMS x':>7} {'RMS y':>7} {'P95 x':>7} {'P95 y':>7} {'in 95 %':>7}")
    for name, dates in scenes.items():
        row(f"{name}, rings of three dates", *closures(dates))
    row("boadella, thirds of a pixel", thirds(scenes["boadella"]))
    if simulation is not None:
        row("simulated, against the truth", simulated_errors(simulation))
    print(f"\n{'offset faults':34} {'good':>5} {'used':>5} {'faults':>7} {'caught':>7}  not caught")
    for name, dates in scenes.items():
        mixed = [as_new(s) if n % 2 else s for n, s in enumerate(dates)]
        used = sum(o is not None for o in settled_dn([s.declared_dn for s in mixed], [evidence_of(s) for s in mixed]))
        found = list(outcomes(dates))
        missed = Counter(fault for fault, _, caught in found if not caught)
        told = ", ".join(f"{n} x {fault}" for fault, n in missed.items())
        print(f"{name:34} {len(dates):5d} {used:5d} {len(found):7d} {len(found) - missed.total():7d}  {told}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)  # noqa: PLR2004
