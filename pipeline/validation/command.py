"""Measure accuracy: make worlds, run the pipeline on them, compare, and write table and pictures."""

import dataclasses
import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import InputError, ProductError
from pipeline.parallel import Pool
from pipeline.products.software import code_sha256
from pipeline.validation.archive import World
from pipeline.validation.figures import Figures, figures
from pipeline.validation.measured import measure_world
from pipeline.validation.outcomes import WorldResult
from pipeline.validation.outlines_alone import measure_bolzano
from pipeline.validation.pictures import draw_cases
from pipeline.validation.plan import SeedSet, worlds_of
from pipeline.validation.tables import page

_BOLZANO = {"tuning": (1, 0), "reporting": (3, 4)}
"""Set to root of the seeds and number of worlds."""
_BOLZANO_PILES = 150


def validate(
    folder: Path, seed_set: SeedSet, data: Path | None, most: int | None, pool: Pool, say: Callable[[str], None]
) -> str:
    """Measure the accuracy of this code and write it to a folder.

    Parameters
    ----------
    folder : Path
        Gets ``accuracy.md``, ``results.json`` and ``pictures/``.
    seed_set : {"tuning", "reporting"}
        Piles of one set are never in the other.
    data : Path or None
        Folder of the real archives (boadella, belgium, bolzano); without it only simulated ground.
    most : int or None
        Largest number of worlds of a kind; None for all.
    pool : Pool
    say : callable
        Progress.

    Returns
    -------
    str
        The page that was written.

    Raises
    ------
    InputError
        The folder holds something else, or real archives are missing.
    ProductError
        A file cannot be written.
    """
    started = dt.datetime.now(dt.UTC)
    _check(folder, data)
    worlds = worlds_of(seed_set, real=data is not None, most=most)
    say(f"{len(worlds)} worlds of the {seed_set} set")
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        found = list(pool.map(measure_world, worlds, folder / "worlds", data))
        root, count = _BOLZANO[seed_set]
        alone: list[WorldResult] = []
        if data is not None:
            numbers = range(min(count, most or count))
            alone = list(pool.map(measure_bolzano, numbers, root, data, _BOLZANO_PILES))
        results = [result for result, _ in found]
        minutes = (dt.datetime.now(dt.UTC) - started).total_seconds() / 60
        text = page(_facts(seed_set, worlds, minutes), _groups(results, alone), results)
        draw_cases([case for _, cases in found for case in cases], folder / "pictures")
        (folder / "accuracy.md").write_text(text, encoding="utf-8", newline="\n")
        document = [dataclasses.asdict(result) for result in (*results, *alone)]
        (folder / "results.json").write_text(json.dumps(document, indent=1), encoding="utf-8", newline="\n")
        shutil.rmtree(folder / "worlds", ignore_errors=True)
    except OSError as error:
        raise ProductError(f"{folder}: {error.strerror or error}; free disk space or choose another folder") from error
    return text


def _check(folder: Path, data: Path | None) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "accuracy.md").is_file():
        raise InputError(f"{folder}: holds something else than a validation; name an empty or new folder")
    if data is not None and not data.is_dir():
        raise InputError(f"--data {data}: is no folder; name the one that holds boadella, belgium and bolzano")


def _facts(seed_set: SeedSet, worlds: Sequence[World], minutes: float) -> list[tuple[str, str]]:
    seeds = ", ".join(world.id for world in worlds)
    return [
        ("program", f"stockline {__version__}, code {code_sha256()[:12]}, {_commit()}"),
        ("set", f"{seed_set}; worlds by ground and seed: {seeds}"),
        ("time", f"{minutes:.0f} minutes"),
    ]


def _commit() -> str:
    """Name the commit these sources are of; ``-dirty`` when they were changed since."""
    here = Path(__file__).parent
    try:
        asked = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
        said = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=True)  # noqa: S603 - no input
    except (OSError, subprocess.CalledProcessError):
        return "not from a checkout"
    return f"commit {said.stdout.strip()}"


def _groups(results: Sequence[WorldResult], alone: Sequence[WorldResult]) -> list[tuple[str, Figures]]:
    """Figures of each kind of world that was made."""
    kinds: list[tuple[str, Sequence[Any]]] = [
        ("Simulated ground, hard coal", [r for r in results if r.ground == "simulated" and not r.lignite]),
        ("Simulated ground, lignite", [r for r in results if r.ground == "simulated" and r.lignite]),
        *((f"Real ground: {name}", [r for r in results if r.ground == name]) for name in ("boadella", "belgium")),
        ("Real ground: bolzano, one date, the outline alone", alone),
        ("All grounds together, bolzano left out", results),
    ]
    return [(name, figures(of_kind)) for name, of_kind in kinds if of_kind]
