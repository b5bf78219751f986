"""Random rows -> trace -> their areas again, by a script that knows nothing of ours, from the traced pixels alone."""

import ast
import io
import json
import random
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import call

from pipeline.products.geopackage import read_tables
from pipeline.products.row_address import row_address

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "recompute.py"
ALONE = (
    "import runpy, sys; sys.modules.update(pipeline=None, models=None); "
    f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
)
MOST = 1e-3
SITES = ("sim-camp", "sim-mine", "sim-port")
LAYERS = ("stockpile_observations", "stockpiles", "measurements")


def code_lines(source):
    """Lines of code, imports among them: none blank, a comment, or of the text at the head."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.parse(source).body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text:
            found -= set(range(node.lineno, node.end_lineno + 1))
    return len(found)


def test_the_script_is_short_and_imports_nothing_of_ours():
    source = SCRIPT.read_text(encoding="utf-8")
    assert code_lines(source) < 60
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert names == {"json", "numpy", "scipy", "rasterio", "shapely", "skimage"}


def recomputed(document, folder):
    """Run the script alone; give what it says of each address as name -> (recomputed, stated)."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE], input=document, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines()[:-1]:
        at, said = line.split(": ", 1)
        numbers = re.findall(r"(\w+) (\S+) \(stated (\S+)\)", said)
        found[at] = {name: (float(again), float(stated)) for name, again, stated in numbers}
    return found, done.stdout.splitlines()[-1]


def traced(folder, at):
    done = call("trace", folder, at, "--json")
    assert done.returncode == 0, done.stderr
    return done.stdout


def areas_of(folder):
    """Addresses of all rows that state the area of a pile, or a sum of such areas."""
    tables = read_tables(folder / f"{folder.name}.gpkg", LAYERS)
    stock = [m for m in tables["measurements"] if m.metric == "stockpile_area_m2" and m.value]
    rows = {**tables, "measurements": stock}
    return [row_address(layer, row) for layer in LAYERS for row in rows[layer]]


@pytest.mark.slow
def test_twenty_random_rows_come_out_again(demo_results, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    choice = random.Random(seed)  # noqa: S311 - nothing secret is drawn
    known = [(demo_results / site, at) for site in SITES for at in areas_of(demo_results / site)]
    assert len(known) > 300
    # As many of each kind as there are: most are of single dates.
    for folder, at in [
        *choice.sample(known, 17),
        *(choice.choice([k for k in known if layer in k[1]]) for layer in LAYERS),
    ]:
        found, summary = recomputed(traced(folder, at), tmp_path)
        again, stated = found[at]["area_m2"]
        assert again == pytest.approx(stated, rel=MOST), f"seed {seed}: {at}"
        assert "areas recomputed" in summary
        for one in found.values():
            for name, most in (("east_m", 0.05), ("north_m", 0.05), ("pile_level", 1e-4), ("background_level", 1e-4)):
                assert name not in one or one[name][0] == pytest.approx(one[name][1], abs=most), f"seed {seed}: {at}"


@pytest.fixture
def one(port_results, tmp_path):
    """The chain of one date of a pile as a document, its files where they may be written."""
    folder = Path(shutil.copytree(port_results / "sim-port", tmp_path / "sim-port"))
    at = min(at for at in areas_of(folder) if at.startswith("stockpile_observations/"))
    document = json.loads(traced(folder, at))
    for scene in document["scenes"].values():
        for file in scene["files"]:
            to = tmp_path / "archive" / file["path"]
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(document["roots"][file["root"]], file["path"]), to)
    document["roots"] = {name: str(tmp_path / "archive") for name in document["roots"]} | {"site": str(folder)}
    return at, document


def off(one, tmp_path):
    at, document = one
    found, _ = recomputed(json.dumps(document), tmp_path)
    return {
        name: abs(again - stated) / (stated if name == "area_m2" else 1) for name, (again, stated) in found[at].items()
    }


def rewrite(path, change, band=1):
    with rasterio.open(path) as file:
        pixels, profile = file.read(), file.profile
    change(pixels[band - 1])
    with rasterio.open(path, "w", **{**profile, "driver": "GTiff"}) as file:
        file.write(pixels)


@pytest.mark.slow
def test_the_untouched_chain_agrees(one, tmp_path):
    assert off(one, tmp_path)["area_m2"] < 1e-5


@pytest.mark.slow
def test_a_changed_pixel_is_noticed(one, tmp_path):
    _, document = one
    (outline,) = document["outlines"]
    with rasterio.open(Path(document["roots"]["site"], outline["masks"]["path"])) as masks:
        member = masks.read(outline["masks"]["object_band"]) & 1 > 0
        row, column = np.argwhere(member)[0]
        x, y = masks.transform @ (column + 0.5, row + 0.5)
    scene = document["scenes"][outline["scene_id"]]
    for file in scene["files"]:
        if file["band"] in {"blue", "green", "red", "nir"}:
            path = Path(document["roots"][file["root"]], file["path"])
            with rasterio.open(path) as source:
                at = source.index(x + scene["shift_m"][0], y + scene["shift_m"][1])
            rewrite(path, lambda pixels, at=at: pixels.__setitem__(at, 4000))
    assert off(one, tmp_path)["area_m2"] > MOST


@pytest.mark.slow
def test_a_changed_mask_is_noticed(one, tmp_path):
    _, document = one
    (outline,) = document["outlines"]
    path = Path(document["roots"]["site"], outline["masks"]["path"])

    def halve(band):
        rows = np.flatnonzero((band & 1).any(axis=1))
        band[rows[len(rows) // 2] :] &= 2

    rewrite(path, halve, outline["masks"]["object_band"])
    assert off(one, tmp_path)["area_m2"] > MOST


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "seen_in"),
    [("shift_m", (3.0, 0.0), "east_m"), ("scale", 1.01e-4, "background_level"), ("offset_dn", 40.0, "pile_level")],
)
def test_another_shift_or_calibration_is_noticed(one, tmp_path, key, value, seen_in):
    """An area hardly depends on them, by design: where the outline lies and how bright it is does."""
    _, document = one
    (scene,) = document["scenes"].values()
    scene[key] = [a + b for a, b in zip(scene[key], value, strict=True)] if key == "shift_m" else value
    limits = {"east_m": 1.0, "background_level": 1e-3, "pile_level": 1e-3}
    assert off(one, tmp_path)[seen_in] > limits[seen_in]
