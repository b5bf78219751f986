"""Which numbers rest on which file, against questions asked of the GeoPackage itself."""

import sqlite3

import pytest

from pipeline.products.dependence import NUMBER_LAYERS, Dependence
from pipeline.products.manifest import read_manifest
from pipeline.products.numbers import numbers_of

SITE = "sim-camp"
YEAR_OF_ROWS = """
SELECT 'measurements/' || zone_id || '/' || metric || '/' || year FROM measurements WHERE year = :y
UNION SELECT 'changes/' || zone_id || '/' || metric || '/' || year_from || '-' || year_to FROM changes
  WHERE :y IN (year_from, year_to)
UNION SELECT 'trends/' || zone_id || '/' || metric FROM trends WHERE :y BETWEEN year_first AND year_last
UNION SELECT 'breaks/' || zone_id || '/' || metric || '/' || resolution FROM breaks
UNION SELECT 'claims/' || claim_id FROM claims
UNION SELECT 'stockpiles/' || pile_id || '/' || year FROM stockpiles WHERE year = :y
UNION SELECT 'stockpile_changes/' || pile_id || '/' || year_from || '-' || year_to FROM stockpile_changes
  WHERE :y IN (year_from, year_to)
UNION SELECT 'footprints/' || zone_id || '/' || class || '/' || year FROM footprints WHERE year = :y
UNION SELECT 'boundary_changes/' || zone_id || '/' || change || '/' || year_from || '-' || year_to
  FROM boundary_changes WHERE :y IN (year_from, year_to)
"""


@pytest.fixture(scope="module")
def package(demo_results):
    return demo_results / SITE / f"{SITE}.gpkg"


@pytest.fixture(scope="module")
def dependence(package):
    return Dependence.of(read_manifest(package.parent), numbers_of(package))


def asked(package, query, **values):
    with sqlite3.connect(package) as connection:
        return {row[0] for row in connection.execute(query, values)}


def every_number(dependence):
    return {address for layer in NUMBER_LAYERS for address in dependence.rows[layer]}


@pytest.mark.parametrize("year", range(2018, 2024))
def test_every_row_of_a_year_rests_on_each_of_its_scenes(package, dependence, year):
    of_year = asked(package, YEAR_OF_ROWS, y=year)
    used = asked(package, "SELECT scene_id FROM scenes WHERE used AND datetime LIKE :y || '-%'", y=year)
    paths = [file.path for file in dependence.inputs if file.scene_id in used]
    assert len(paths) >= 8 * len(used) > 0
    assert of_year < every_number(dependence)
    for path in paths:
        assert set(dependence.numbers_on(path)) == of_year


def test_a_metrics_own_scenes_are_among_those_its_numbers_rest_on(package, dependence):
    query = "SELECT metric || ' ' || year || ' ' || scene_id FROM year_scenes"
    for metric, year, scene in (line.split() for line in asked(package, query)):
        path = next(file.path for file in dependence.inputs if file.scene_id == scene)
        rest = dependence.numbers_on(path)
        zones = asked(package, "SELECT zone_id FROM measurements WHERE metric = :m AND year = :y", m=metric, y=year)
        assert {f"measurements/{zone}/{metric}/{year}" for zone in zones} <= set(rest)


def test_nothing_rests_on_a_scene_that_was_not_used(package, dependence):
    unused = asked(package, "SELECT scene_id FROM scenes WHERE NOT used")
    read = [file.path for file in dependence.inputs if file.scene_id in unused]
    assert read
    for path in read:
        assert dependence.numbers_on(path) == ()
        assert dependence.said(path).endswith("which was not used")


def test_files_of_all_some_and_no_numbers(package, dependence):
    everything = every_number(dependence)
    for name in (f"{SITE}.gpkg", f"{SITE}/{SITE}.gpkg", "inputs/site.geojson"):
        assert set(dependence.numbers_on(name)) == everything
        assert dependence.said(name).startswith(f"all {len(everything)} numbers rest on it: ")
    claims = asked(package, "SELECT 'claims/' || claim_id FROM claims")
    assert set(dependence.numbers_on("inputs/claims.yaml")) == claims != set()
    for pile in asked(package, "SELECT DISTINCT pile_id FROM stockpiles"):
        rows = set(dependence.numbers_on(f"masks/{pile}.tif"))
        of_pile = asked(
            package, "SELECT 'stockpiles/' || pile_id || '/' || year FROM stockpiles WHERE pile_id=:p", p=pile
        )
        assert of_pile < rows
        assert all(pile in address for address in rows)
    for name in ("tables/changes.csv", "report.html", f"{SITE}.kml", "composites/2020.tif"):
        assert dependence.numbers_on(name) == ()
        assert dependence.said(name) == "no number rests on it; what it shows is made from the GeoPackage"
    for name in ("manifest.json", "run.json", "runs/0001.json", "inputs/reviews.jsonl", "masks/p0-0.tif", "other.txt"):
        assert dependence.numbers_on(name) == ()


@pytest.mark.parametrize("before", ["", "evidence/", "/somewhere/else/", "sim-camp/evidence/"])
def test_evidence_is_known_wherever_it_lies(dependence, before):
    path = dependence.inputs[0].path
    assert dependence.numbers_on(before + path) == dependence.numbers_on(path) != ()
    assert dependence.numbers_on(f"other/{path.rsplit('/', 1)[1]}") == ()


def test_a_record_beside_a_copy_is_of_its_scene(dependence):
    copies = [file.model_copy(update={"evidence": "copy"}) for file in dependence.inputs]
    of_copies = Dependence(SITE, copies, dependence.outputs, dependence.rows)
    folder = copies[0].path.rsplit("/", 1)[0]
    for name in ("record.json", "described/0123.json"):
        assert of_copies.numbers_on(f"evidence/{folder}/{name}") == dependence.numbers_on(copies[0].path) != ()
        assert dependence.numbers_on(f"{folder}/{name}") == ()


def test_what_reviewers_decided_rests_on_the_ledger(dependence):
    first = next(iter(dependence.rows["stockpiles"]))
    measured = next(iter(dependence.rows["measurements"]))
    rows = {layer: dict(of) for layer, of in dependence.rows.items()}
    rows["stockpiles"][first] = {**rows["stockpiles"][first], "review": "rejected"}
    rows["measurements"]["reviewed"] = {**rows["measurements"][measured], "metric": "reviewed_stockpile_count"}
    reviewed = Dependence(SITE, dependence.inputs, dependence.outputs, rows)
    assert set(reviewed.numbers_on("inputs/reviews.jsonl")) == {first, "reviewed"}
