"""Products in real QGIS: what it makes of styles, project, relations, years and the page, and what it draws."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.products._columns import Layer
from pipeline.products._relations import WITH_REVIEW
from pipeline.records import LAYERS

pytestmark = pytest.mark.desktop

SYSTEM_PYTHON = "/usr/bin/python3"
HERE = Path(__file__).parent
REFERENCES = HERE / "references"
SITE = "sim-camp"
ALL_YEARS = range(2018, 2024)
YEARS = (2018, 2023)
"""Those that are drawn: the piles grow between them, and ground is gained."""
WIDTH = 420
FAR, MOST_FAR = 60, 0.002
"""Of 255: two pixels further apart show something else; edges drawn by another Qt may do so on this share."""


def bare(home):
    """Environment of a reader: nothing of the checkout, no settings, no screen."""
    # Not the path of the tests: a python of a virtual environment ahead of the system's breaks QGIS's own.
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
    }


@pytest.fixture(scope="module", autouse=True)
def qgis(tmp_path_factory):
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip("QGIS is not installed: no python of the system")
    command = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    if subprocess.run(command, capture_output=True, check=False, env=bare(tmp_path_factory.mktemp("home"))).returncode:
        pytest.skip("QGIS is not installed: the system's python does not know it")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader")
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def folder(demo_results, tmp_path_factory):
    copy = tmp_path_factory.mktemp("results") / SITE
    shutil.copytree(demo_results / SITE, copy)
    return copy


@pytest.fixture(scope="module")
def package(folder):
    return folder / f"{SITE}.gpkg"


@pytest.fixture(scope="module")
def look(home):
    def ask(*words):
        command = [SYSTEM_PYTHON, HERE / "qgis_look.py", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=bare(home))
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return ask


@pytest.fixture(scope="module")
def layers(look, package):
    return look("layers", package)


@pytest.fixture(scope="module")
def project(look, package):
    return look("project", package)


def title_of(column):
    unit = {"m": " (m)", "m2": " (m²)", "m3": " (m³)"}.get(column.unit, "")
    return column.alias + unit


def check_layer(name, seen):
    """What holds of a layer on its own and in the project."""
    layer = Layer.of(name)
    told = {column.name: column for column in layer.columns}
    assert seen["valid"]
    assert seen["read_only"]
    assert {n: seen["aliases"][n] for n in told} == {n: title_of(c) for n, c in told.items()}
    hidden = {n for n, widget in seen["widgets"].items() if widget == "Hidden"} - {"fid", "metric"}
    assert hidden - set(told) == set()
    assert {n for n, c in told.items() if c.technical} == hidden & set(told)
    shown = [n for n, c in told.items() if not c.technical]
    assert [n for n in seen["columns"] if n in told] == shown
    assert seen["form"]["fields"] == ["in_words", *shown]
    assert seen["form"]["read_only"]
    assert seen["sort"]
    assert not seen["sort_wrong"]
    for column in layer.columns:
        if column.told.values and not column.technical and column.name in seen["widgets"]:
            assert seen["widgets"][column.name] == "ValueMap", column.name
    if seen["rows"]:
        assert not [text for text in seen["evaluated"] if text.startswith("WRONG") or text in ("", "NULL")]
        assert seen["says"] == seen["evaluated"][-1]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_opened_on_its_own_is_styled_and_told_in_words(layers, name):
    seen = layers[name]
    check_layer(name, seen)
    assert seen["form"]["tabs"] == ["Numbers"]
    if not Layer.of(name).spatial:
        assert seen["renderer"] is None
        return
    for column, value in CATEGORISED.get(name, ()):
        assert value in seen["symbols"], (column, value)
    assert seen["renderer"] == ("categorizedSymbol" if name in CATEGORISED else "singleSymbol")
    if seen["rows"]:
        assert seen["tip"].startswith("<p><b>SIMULATED</b></p>")
        assert "[%" not in seen["tip"]
    if name in LABELLED:
        (near, far) = seen["labels"]
        assert near[1] == far[0] > near[0], "one takes over where the other ends"


CATEGORISED = {
    "stockpiles": [("tier", v) for v in ("confirmed", "probable", "candidate")],
    "stockpile_changes": [
        ("verdict", v) for v in ("increase", "decrease", "no_detectable_change", "insufficient_data")
    ],
    "footprints": [("class", v) for v in ("bare_or_built", "dark_ground", "other_cleared")],
    "boundary_changes": [("change", v) for v in ("certain_gain", "possible_gain", "certain_loss", "possible_loss")],
    "zones": [("role", v) for v in ("site", "inside", "adjacent", "outside", "control", "named")],
    "sites": [("role", v) for v in ("aoi", "perimeter", "zone", "control", "exclude", "yard")],
    "scenes": [("used", v) for v in ("used", "refused")],
    "reviews": [("decision", v) for v in ("accept", "reject", "edit", "unclear", "own", "withdraw")],
}
LABELLED = {"stockpiles", "stockpile_changes", "footprints", "boundary_changes", "zones"}


def test_labels_hold_the_year_the_area_and_its_interval(layers, package):
    with sqlite3.connect(package) as connection:
        row = connection.execute(
            "SELECT year, area_m2, area_lo95_m2, area_hi95_m2 FROM stockpiles ORDER BY fid"
        ).fetchone()
    full, short = layers["stockpiles"]["evaluated"][:2]
    assert short == str(row[0])
    assert full == f"{row[0]}: {row[1]:,.0f} m² ({row[2]:,.0f} to {row[3]:,.0f})"
    assert f"{row[1]:,.0f} m²" in layers["stockpiles"]["tip"]


def test_the_project_opens_whole(project):
    assert project["invalid"] == []
    assert {i.removesuffix("_layer_0001") for i in project["vectors"]} == {*LAYERS, "review"}
    assert project["title"] == "SIMULATED camp"
    assert project["crs"] == "EPSG:32651"
    assert project["range"] == ["2018-01-01T00:00:00Z", "2023-12-31T23:59:59Z"]
    assert project["step"] == [1, 7], "years, as QGIS counts units of time"
    assert project["navigation"] == 1, "the controller is on and steps"
    assert len(project["layouts"]) == 1
    for name in LAYERS:
        check_layer(name, project["vectors"][f"{name}_layer_0001"])


def test_groups_are_in_order_and_named_in_latin_and_korean(project):
    groups = list(project["tree"])
    found = [group.removeprefix("SIMULATED ").split()[0] for group in groups]
    assert found == ["Results", "Ground", "Review", "Scenes", "Tables", "Composites,", "Composites,"]
    names = [name for layers in project["tree"].values() for name, _ in layers]
    assert all(name.startswith("SIMULATED") for name in [*groups, *names])
    hangul = [name for name in [*groups, *names] if any("가" <= letter <= "힣" for letter in name)]
    assert set(names) - set(hangul) == {
        f"SIMULATED {year} {look}" for year in ALL_YEARS for look in ("true colour", "short-wave infrared")
    }
    shown = [name.split()[1] for layers in project["tree"].values() for name, checked in layers if checked]
    assert shown == ["Stockpiles", "Occupied", "Zones", "Site", *map(str, reversed(ALL_YEARS))], (
        "the newest composite on top"
    )


def test_every_layer_of_a_year_is_shown_in_its_year(project):
    for name in LAYERS:
        columns = {column.name for column in Layer.of(name).columns}
        active, start, end = project["vectors"][f"{name}_layer_0001"]["temporal"]
        dated = Layer.of(name).spatial and bool(columns & {"year", "year_to", "datetime"}) and name != "reviews"
        assert active == dated, name
        if active:
            assert start.replace(",1,2)", "") == end.replace(",12,30)", ""), name
    for key, raster in project["rasters"].items():
        year = key.split("_")[2]
        assert raster["temporal"] == [True, f"{year}-01-02T00:00:00Z", f"{year}-12-30T23:59:59Z"]


def test_composites_have_one_stretch_through_the_years(project, look, folder):
    bands = {"true": ["red", "green", "blue"], "swir": ["swir22", "nir", "red"]}
    for shown, names in bands.items():
        found = [raster for key, raster in project["rasters"].items() if key.startswith(f"composite_{shown}_")]
        assert len(found) == len(ALL_YEARS)
        assert all([b.split(": ")[1] for b in raster["bands"]] == names for raster in found)
        assert len({json.dumps(raster["limits"]) for raster in found}) == 1
        assert all(low < high for raster in found for low, high in raster["limits"])
    true = next(raster for key, raster in project["rasters"].items() if key.startswith("composite_true_"))
    alone = look("raster", folder / "composites" / "2019.tif")
    assert [alone["bands"], alone["limits"], alone["gamma"]] == [true["bands"], true["limits"], true["gamma"]]


def test_relations_are_valid_and_stand_in_the_forms(project):
    assert set(project["relations"]) == {relation.id for relation in WITH_REVIEW}
    assert all(project["relations"].values())
    for relation in WITH_REVIEW:
        form = project["vectors"][f"{relation.parent}_layer_0001"]["form"]
        assert form["relations"][relation.id]
        assert relation.tab in form["tabs"]
    for name in ("stockpile_observations", "year_scenes"):
        assert project["vectors"][f"{name}_layer_0001"]["widgets"]["scene_id"] == "RelationReference"


def test_every_number_leads_to_its_scenes_in_two_clicks(project, look, package):
    """The first opens the row's form, the second the tab; what it lists is what SQL finds."""
    reached = look("reached", package)
    with sqlite3.connect(package) as connection:
        for layer, years in (
            ("changes", ("year_from", "year_to")),
            ("stockpile_changes", ("year_from", "year_to")),
            ("boundary_changes", ("year_from", "year_to")),
            ("measurements", ("year",)),
            ("stockpiles", ("year",)),
            ("footprints", ("year",)),
        ):
            assert project["vectors"][f"{layer}_layer_0001"]["form"]["tabs"][1] == "Scenes"
            for year in years:
                metric = {
                    "changes": "metric", "measurements": "metric", "stockpiles": "'stockpile_area_m2'",
                    "stockpile_changes": "'stockpile_area_m2'", "footprints": "'footprint_area_m2'",
                    "boundary_changes": "'boundary_gain_m2'",
                }[layer]  # fmt: skip
                counts = connection.execute(
                    f"SELECT (SELECT count(*) FROM year_scenes AS s WHERE s.metric = x.metric AND s.year = x.year)"  # noqa: S608
                    f" FROM (SELECT {metric} AS metric, {year} AS year FROM {layer}) AS x"
                ).fetchall()
                numbers = [n for (n,) in counts]
                expected = [len(numbers), sum(n > 0 for n in numbers), max(numbers)]
                assert reached[f"{layer}_year_scenes_metric_{year}"] == expected
                assert min(numbers) > 0
        listed = connection.execute("SELECT DISTINCT scene_id FROM year_scenes").fetchall()
        used = connection.execute("SELECT scene_id FROM scenes WHERE used").fetchall()
    assert set(listed) <= set(used)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.int16)


def far(one, other):
    return float((np.abs(one - other).max(axis=-1) > FAR).mean())


@pytest.mark.parametrize("year", YEARS)
def test_the_map_of_a_year_looks_as_its_reference(look, package, tmp_path, year):
    picture = tmp_path / f"qgis_{year}.png"
    assert look("render", package, year, WIDTH, picture, 0)["wrong"] == []
    drawn = pixels(picture)
    references = {known: pixels(REFERENCES / f"qgis_{known}.png") for known in YEARS}
    assert drawn.shape == references[year].shape
    assert far(drawn, references[year]) < MOST_FAR
    other = next(known for known in YEARS if known != year)
    assert far(drawn, references[other]) > MOST_FAR, "the years would not be told apart"
    labelled = tmp_path / "labelled.png"
    look("render", package, year, WIDTH, labelled, 1)
    assert far(drawn, pixels(labelled)) > 0, "labels are drawn"


def test_the_page_has_map_legend_scale_north_title_and_credit(look, package, tmp_path):
    page = tmp_path / "page.png"
    told = look("print", package, page)
    assert told["status"] == 0
    assert {"map", "legend", "scale bar", "north"} <= set(told["items"])
    assert any(text.startswith("SIMULATED camp") for text in told["items"])
    assert any(text.startswith("SIMULATED data") for text in told["items"])
    drawn = pixels(page)
    assert abs(drawn.shape[1] / drawn.shape[0] - 297 / 210) < 0.01
    height, width = drawn.shape[:2]
    boxes = {
        "map": (24, 190, 10, 207), "legend": (24, 150, 211, 287), "scale bar": (160, 173, 211, 260),
        "north": (158, 174, 272, 286), "title": (8, 20, 10, 150), "credit": (176, 190, 211, 287),
    }  # fmt: skip
    for name, (top, bottom, left, right) in boxes.items():
        part = drawn[top * height // 210 : bottom * height // 210, left * width // 297 : right * width // 297]
        assert part.std() > 10, f"{name} is not drawn"


def test_the_program_itself_opens_the_project_with_a_double_click(home, folder, package, tmp_path):
    for program in ("qgis", "xvfb-run"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    picture = tmp_path / "window.png"
    command = ["xvfb-run", "-a", "qgis", "--noversioncheck", "--nologo", "--profiles-path", home / "profiles"]
    command += ["--snapshot", picture, "--width", "600", "--height", "450"]
    environment = {name: value for name, value in bare(home).items() if name != "QT_QPA_PLATFORM"}
    project = f"geopackage:{package}?projectName=stockline"
    done = subprocess.run(
        [*command, "--project", project], capture_output=True, text=True, timeout=180, check=False, env=environment
    )
    assert picture.is_file(), done.stderr[-2000:]
    drawn = pixels(picture)
    assert drawn.std() > 20
    forest = (np.abs(drawn - np.array([28, 68, 35])).max(axis=-1) < 30).mean()
    assert forest > 0.2, "the composite is shown"


def test_opening_changes_no_byte(layers, project, look, package, folder, demo_results, tmp_path):
    look("render", package, YEARS[0], 100, tmp_path / "a.png", 1)
    look("print", package, tmp_path / "b.png")

    def digests(where):
        return {p.relative_to(where): hashlib.sha256(p.read_bytes()).digest() for p in where.rglob("*") if p.is_file()}

    assert digests(folder) == digests(demo_results / SITE)


def test_the_portfolio_opens_whole_and_relates_rows_within_their_site(look, demo_results, tmp_path):
    path = shutil.copy(demo_results / "portfolio.gpkg", tmp_path)
    project = look("project", path)
    assert project["title"] == "SIMULATED Portfolio of 3 sites"
    assert project["crs"] == "EPSG:4326"
    assert project["invalid"] == []
    assert set(project["relations"].values()) == {True}
    for layer in project["vectors"].values():
        # The metric of an outline is found by expression and never shown.
        bare_names = [name for name, alias in layer["aliases"].items() if not alias and name != "metric"]
        assert bare_names == []
        assert {"site_id", "simulated"} <= set(layer["aliases"])
    reached = look("reached", path)
    assert all("site_id" in name for name in reached)
    _, _, most = next(counts for name, counts in reached.items() if name.startswith("zones_measurements"))
    assert most == 18, "three metrics in six years, of one site and not of all"
