"""All finished sites in one file: whose rows are there, in which place and state, and what verify says of it."""

import json
import shutil
import sqlite3

import pytest
import shapely
from conftest import call
from product_checks import check_geopackage, read_frame
from pyproj import Geod
from test_exports import messy_tables
from test_manifest import WHEN, make_inputs, put

from pipeline.errors import ProductError
from pipeline.products import portfolio
from pipeline.products.custody.verify import verify
from pipeline.products.geopackage import write_geopackage
from pipeline.products.inputs import write_inputs
from pipeline.products.manifest import build_manifest, write_manifest
from pipeline.products.portfolio import publish_portfolio
from pipeline.products.runs import RunFacts, write_run
from pipeline.records import LAYERS, RunRow

ZONES = {"east": 32652, "west": 32651}
"""Sites and the UTM zones they lie in."""


def finish(base, site, *, simulated=False):
    """Results of a made-up site, recorded as a run records them."""
    folder, epsg = base / "out" / site, ZONES.get(site, 32652)
    tables = messy_tables(simulated=simulated)
    facts = {"site_id": site, "site_name": f"회령 {site}", "epsg": str(epsg)}
    tables["run"] = [RunRow(row.key, facts.get(row.key, row.value)) for row in tables["run"]]
    package = folder / f"{site}.gpkg"
    write_geopackage(package, tables, epsg, site, simulated)
    inputs = make_inputs(base, site)
    write_manifest(folder, build_manifest(inputs, folder, [package, *write_inputs(folder, inputs)]))
    if not (folder / "run.json").exists():
        write_run(folder, RunFacts(WHEN, WHEN, 1, (), inputs.evidence_root, inputs.archive_root))
    return tables


def gathered(out):
    document = json.loads((out / "portfolio.json").read_text("utf-8"))
    return {site["site"]: (site["state"], site["manifest_sha256"]) for site in document["sites"]}


def query(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture
def out(tmp_path):
    for site in ZONES:
        finish(tmp_path, site)
    return tmp_path / "out"


def test_every_row_of_every_site_is_there_with_its_site_and_in_its_place(tmp_path):
    rows = {site: finish(tmp_path, site, simulated=site == "west") for site in ZONES}
    out = tmp_path / "out"
    path = publish_portfolio(out, ())
    assert path == out / "portfolio.gpkg"
    check_geopackage(path)
    for layer in LAYERS:
        found = query(path, f'SELECT site_id, simulated, count(*) FROM "{layer}" GROUP BY site_id')  # noqa: S608
        named = layer in ("measurements", "changes", "trends", "breaks")
        due = [(site, int(site == "west"), len(rows[site][layer])) for site in sorted(ZONES) if rows[site][layer]]
        assert [(n, c) for _, n, c in found] == [(n, c) for _, n, c in due] or named, layer
        if not named:
            assert found == due, layer
    frame = read_frame(path, layer="stockpiles")
    assert frame.crs.to_epsg() == 4326
    for outline, (site, epsg) in zip(frame.geometry, ZONES.items(), strict=True):
        own = read_frame(out / site / f"{site}.gpkg", layer="stockpiles").to_crs(4326).geometry.iloc[0]
        assert shapely.hausdorff_distance(outline, own) < 1e-6
        central = {32651: 123, 32652: 129}[epsg]
        assert abs(outline.centroid.x - central) < 0.1
        area, _ = Geod(ellps="WGS84").geometry_area_perimeter(outline)
        assert abs(area) == pytest.approx(100 * 50 - 100 + 500, rel=2e-3)
    assert query(path, "SELECT site_id, name, state, simulated, epsg FROM portfolio") == [
        ("east", "회령 east", "finished", 0, 32652),
        ("west", "회령 west", "finished", 1, 32651),
    ]
    identifiers = query(path, "SELECT identifier FROM gpkg_contents")
    assert all(name.startswith("SIMULATED ") for (name,) in identifiers), "one simulated site marks the file"


def test_the_same_sites_give_the_same_bytes_and_are_not_gathered_again(out, monkeypatch):
    path = publish_portfolio(out, ())
    first, document = path.read_bytes(), (out / "portfolio.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(portfolio, "_write_package", None)
        publish_portfolio(out, ())
    path.unlink()
    publish_portfolio(out, ())
    assert (path.read_bytes(), (out / "portfolio.json").read_bytes()) == (first, document)
    assert verify(out) == []


def test_a_site_that_failed_is_said_to_have_and_keeps_what_it_finished_before(out):
    publish_portfolio(out, {"west", "north"})
    states = gathered(out)
    assert {site: state for site, (state, _) in states.items()} == {
        "east": "finished", "north": "failed", "west": "failed_since",
    }  # fmt: skip
    assert states["north"][1] is None
    path = out / "portfolio.gpkg"
    assert query(path, "SELECT site_id, state FROM portfolio") == [("east", "finished"), ("west", "failed_since")]
    before = path.read_bytes()
    publish_portfolio(out, ())
    assert gathered(out)["west"][0] == "finished"
    assert path.read_bytes() != before


@pytest.mark.parametrize("harm", ["edited", "older", "other site"])
def test_results_that_are_not_as_recorded_are_left_out(tmp_path, out, harm):
    package = out / "west" / "west.gpkg"
    if harm == "other site":
        shutil.rmtree(out / "west")
        shutil.copytree(out / "east", out / "west")
    else:
        connection = sqlite3.connect(package)
        connection.execute("ALTER TABLE run RENAME COLUMN value TO stated" if harm == "older" else "VACUUM")
        connection.execute("UPDATE run SET key = 'x' WHERE key = 'note_1'" if harm == "edited" else "SELECT 1")
        connection.commit()
        connection.close()
    if harm == "older":
        write_manifest(out / "west", build_manifest(make_inputs(tmp_path, "west"), out / "west", [package]))
    publish_portfolio(out, ())
    assert gathered(out)["west"] == ("unusable", None)
    assert query(out / "portfolio.gpkg", "SELECT site_id FROM portfolio") == [("east",)]


def test_nothing_is_there_where_nothing_can_be_gathered(tmp_path, out):
    (tmp_path / "empty").mkdir()
    assert publish_portfolio(tmp_path / "empty", {"east"}) is None
    assert list((tmp_path / "empty").iterdir()) == []
    publish_portfolio(out, ())
    for site in ZONES:
        (out / site / f"{site}.gpkg").write_bytes(b"")
    assert publish_portfolio(out, ()) is None
    assert not list(out.glob("portfolio.*"))


def test_pages_of_all_sites_are_named_too(out):
    def pages(folder):
        return [put(folder / "index.html", b"<p>")]

    publish_portfolio(out, (), pages)
    assert verify(out) == []
    package = (out / "portfolio.gpkg").read_bytes()
    (out / "index.html").write_bytes(b"<b>")
    assert [str(problem) for problem in verify(out)] == ["index.html: differs from the hash in portfolio.json"]
    publish_portfolio(out, (), pages)
    assert verify(out) == []
    assert (out / "portfolio.gpkg").read_bytes() == package


def test_a_site_that_cannot_be_gathered_is_no_fault_of_the_portfolio(out):
    with (out / "west" / "west.gpkg").open("ab") as file:
        file.write(b"x")
    publish_portfolio(out, ())
    assert [problem.path for problem in verify(out)] == ["west/west.gpkg"]


def test_verify_names_what_no_longer_fits(tmp_path, out):
    publish_portfolio(out, ())
    assert verify(out) == []
    finish(tmp_path, "north")
    (problem,) = verify(out)
    assert str(problem) == (
        "portfolio.json: was not made of the present result of north; stockline report writes it anew"
    )
    publish_portfolio(out, ())
    assert verify(out) == []
    shutil.rmtree(out / "north")
    assert [problem.path for problem in verify(out)] == ["portfolio.json"]
    publish_portfolio(out, ())
    with (out / "portfolio.gpkg").open("ab") as file:
        file.write(b"x")
    assert [str(problem) for problem in verify(out)] == ["portfolio.gpkg: differs from the hash in portfolio.json"]
    (out / "portfolio.json").unlink()
    assert [(problem.path, problem.kind) for problem in verify(out)] == [("portfolio.json", "missing")]
    put(out / "portfolio.json", b'{"format": 1}')
    assert [problem.kind for problem in verify(out)] == ["differs"]
    assert verify(out / "east") == [], "a site is checked on its own"


def test_a_file_that_cannot_be_written_is_one_error_and_the_former_stays(tmp_path, out, monkeypatch):
    def pages(folder):
        return [put(folder / "index.html", b"%d" % len(list(out.glob("*/"))))]

    publish_portfolio(out, (), pages)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert len(before) == 3
    finish(tmp_path, "north")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(portfolio, "write_layer", full)
    with pytest.raises(ProductError, match=r"portfolio\.gpkg: cannot be written \(No space left"):
        publish_portfolio(out, (), pages)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    assert not list(out.glob(".stockline-gathered"))


@pytest.mark.slow
def test_a_batch_and_the_reports_gather_the_sites(small, tmp_path):
    shutil.copytree(small, tmp_path / "copy")
    config, out = tmp_path / "copy" / "config.yaml", tmp_path / "copy" / "results"
    assert gathered(out)["sim-port"][0] == "finished"
    before = (out / "portfolio.gpkg").read_bytes()
    (out / "portfolio.gpkg").unlink()
    done = call("report", "--config", config)
    assert done.returncode == 0, done.stderr
    assert (out / "portfolio.gpkg").read_bytes() == before
    (out / "portfolio.json").unlink()
    (out / "portfolio.json").mkdir()
    done = call("run", "--config", config)
    assert done.returncode == 1
    assert "portfolio: FAILED" in done.stderr
    assert "sim-port: SIMULATED up to date" in done.stdout, "the sites are told all the same"
