"""Bad input, broken archives, a full disk: one clear line, the right status, nothing finished lost."""

import errno
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import rasterio
import shapely
import yaml
from conftest import aoi_alone, command_line, environment, hashes
from rasterio.warp import Resampling, calculate_default_transform, reproject
from shapely.geometry import mapping

from pipeline import cli
from pipeline.products import atomic
from pipeline.products._documents import WORKING
from pipeline.products.geopackage import read_tables

ALL_SITES = ("index.html", "portfolio.gpkg", "portfolio.json")
"""They say how each site ended, so also that one has failed now."""
NOT_RESULTS = (*WORKING, "logs", ".lock", ".work", ".memory", "evidence", *ALL_SITES)


@pytest.fixture
def archive(port, tmp_path):
    """The port's archive, its files shared with the original: replace a file, never write into one."""
    folder = tmp_path / "archive"
    shutil.copytree(port, folder, copy_function=os.link)
    return folder


@pytest.fixture
def finished(port_results, tmp_path):
    """Finished results beside which something goes wrong, and the check that they are as they were."""
    out = Path(shutil.copytree(port_results, tmp_path / "out"))
    before = hashes(out, without=NOT_RESULTS)
    yield out
    assert hashes(out, without=NOT_RESULTS) == before


def replace_file(path, content):
    path.unlink()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def edit_json(path, change):
    document = json.loads(path.read_text())
    change(document)
    replace_file(path, json.dumps(document))


def edit_items(archive, change, only=None):
    for path in sorted(archive.glob("S2*/S2*.json"))[:only]:
        edit_json(path, change)


def run(archive, out, *more):
    return cli.main(["run", "--config", str(archive / "config.yaml"), "--out", str(out), *map(str, more)])


def refused_line(capsys, *words):
    """The only line that was said; nothing else, no traceback."""
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("stockline: ")
    missing = [word for word in words if str(word) not in said.err]
    assert not missing, f"{missing} not in: {said.err}"


def failed_line(capsys, *words):
    """The last line, after lines of progress."""
    said = capsys.readouterr()
    *progress, last = said.err.splitlines()
    assert all(line.startswith("sim-port") and "FAILED" not in line for line in progress), said.err
    assert last.startswith("sim-port: FAILED after ")
    assert "unexpected" not in last, last
    missing = [word for word in words if str(word) not in last]
    assert not missing, f"{missing} not in: {last}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("yers: {first: 2018}", ["'yers'", "'years'"]),
        ("source: {kind: simulated, ulr: catalog.json}", ["'source.ulr'", "'url'"]),
        ("clear: {max_sun_zenit_deg: 60}", ["'clear.max_sun_zenit_deg'", "'max_sun_zenith_deg'"]),
        ("windows: {stokpile: []}", ["'windows.stokpile'", "'stockpile'"]),
        ("source: {kind: landsat}", ["source.kind", "'landsat'", "stac"]),
        ("years: {first: 2020, last: 2018}", ["years", "2020", "2018", "before"]),
        ("years: {first: 2018, last: 2019, baseline: 2010}", ["baseline", "2010"]),
        ("years: 2018-2020", ["years", "2018-2020"]),
        ("min_dates: 1", ["min_dates", "1"]),
        ("min_dates: six", ["min_dates", "'six'"]),
        ("windows: {stockpile: [['10-20', '04-01']]}", ["windows.stockpile", "10-20"]),
        ("windows: {footprint: [['06-31', '09-30']]}", ["windows.footprint", "06-31"]),
        ("windows: {footprint: [['6-1', '9-30']]}", ["windows.footprint", "6-1"]),
        ("source: {max_cloud_percent: 160}", ["source.max_cloud_percent", "160"]),
        ("source: {band_substitutes: {nir8: nir}}", ["source.band_substitutes", "nir8"]),
        ("sites: [a", ["not valid YAML"]),
        ("- sites", ["list"]),
        ("sites: nowhere", ["nowhere"]),
        ("claims: nowhere.yaml", ["nowhere.yaml"]),
        ("sites:\n  - aoi", ["sites", "aoi"]),
    ],
)
def test_configuration_is_refused_with_file_key_value_and_remedy(text, told, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(text)
    assert cli.main(["run", "--config", str(tmp_path / "config.yaml")]) == 2
    refused_line(capsys, *told, "" if "nowhere" in text else "config.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_configuration_in_another_encoding_is_refused(tmp_path, capsys):
    (tmp_path / "config.yaml").write_bytes("out: Ergebnisse für später\n".encode("latin-1"))
    assert cli.main(["run", "--config", str(tmp_path / "config.yaml")]) == 2
    refused_line(capsys, "config.yaml", "UTF-8")


def square(west, south, size=0.02):
    return shapely.box(west, south, west + size, south + size)


def crossing():
    return shapely.Polygon([(130.0, 38.5), (130.02, 38.52), (130.02, 38.5), (130.0, 38.52)])


@pytest.mark.parametrize(
    ("geometry", "told"),
    [
        (shapely.Polygon(), ["empty"]),
        (crossing(), ["cross"]),
        (square(130.0, 84.5), ["84"]),
        (square(179.995, 38.5), ["180"]),
        (shapely.Polygon([(179.99, 38.5), (-179.99, 38.5), (-179.99, 38.52), (179.99, 38.52)]), ["antimeridian"]),
        (square(130.0, 38.5, 1.0), ["km2", "limits.max_aoi_km2", "2500"]),
        (shapely.Point(130.0, 38.5), ["Point"]),
    ],
    ids=["empty", "crossing", "polar", "beyond-180", "antimeridian", "large", "point"],
)
def test_an_impossible_aoi_is_refused_before_any_work(geometry, told, archive, finished, capsys):
    path = archive / "aoi" / "sim-port.geojson"
    edit_json(
        path,
        lambda d: next(f for f in d["features"] if f["properties"]["role"] == "aoi").update(geometry=mapping(geometry)),
    )
    assert run(archive, finished) == 2
    refused_line(capsys, "sim-port.geojson", *told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["features"].append(d["features"][0]), ["2 features", "aoi"]),
        (lambda d: d["features"].pop(0), ["0 features", "aoi"]),
        (lambda d: d["features"][0]["properties"].update(kynd="port"), ["kynd", "kind"]),
        (lambda d: d["features"][0]["properties"].update(kind="harbour"), ["kind", "harbour", "port"]),
        (lambda d: d["features"][0]["properties"].update(id="port-sim"), ["port-sim", "sim-port"]),
        (
            lambda d: d.update(crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32652"}}),
            ["32652", "4326"],
        ),
        (lambda d: d.update(features="none"), ["FeatureCollection"]),
    ],
)
def test_a_site_file_is_refused_before_any_work(change, told, archive, finished, capsys):
    shutil.copy(archive / "aoi" / "sim-port.geojson", archive / "aoi" / "a-good-one.geojson")
    edit_json(archive / "aoi" / "a-good-one.geojson", lambda d: d["features"][0]["properties"].update(id="a-good-one"))
    edit_json(archive / "aoi" / "sim-port.geojson", change)
    assert run(archive, finished) == 2  # the good site is not begun either
    refused_line(capsys, "sim-port.geojson", *told)


def test_a_misspelt_claim_is_refused(archive, finished, capsys):
    text = (archive / "claims.yaml").read_text().replace("direction:", "direktion:", 1)
    replace_file(archive / "claims.yaml", text)
    assert run(archive, finished) == 2
    refused_line(capsys, "claims.yaml", "direktion", "direction")


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (None, 2, ["no such file"]),
        ("not json", 2, ["STAC"]),
        ('{"type": "FeatureCollection", "features": []}', 2, ["STAC"]),
        (
            '{"type": "Catalog", "id": "none", "stac_version": "1.0.0", "description": "none", "links": []}',
            1,
            ["no scene over the AOI in 2018-2019", "source.url"],
        ),
    ],
    ids=["missing", "text", "other-json", "no-items"],
)
def test_a_catalogue_that_is_none_or_holds_nothing(content, status, told, archive, finished, capsys):
    (archive / "catalog.json").unlink()
    if content is not None:
        (archive / "catalog.json").write_text(content)
    assert run(archive, finished) == status
    (refused_line if status == 2 else failed_line)(capsys, "catalog.json", *told)


def test_an_address_where_nobody_answers(port, settings, finished, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/catalog.json"
        config = settings(
            source={"url": url, "retries": 0}, sites=str(port / "aoi"), years={"first": 2018, "last": 2018}
        )
        assert cli.main(["run", "--config", str(config), "--out", str(finished)]) == 1
    failed_line(capsys, url, "again")


def test_a_year_without_scenes_is_insufficient_data(archive, tmp_path, capsys):
    assert run(archive, tmp_path / "out", "--years", "2019-2020") == 0
    tables = read_tables(tmp_path / "out" / "sim-port" / "sim-port.gpkg")
    empty = [m for m in tables["measurements"] if m.year == 2020]
    assert empty
    assert {(m.value, m.status, m.n_dates) for m in empty} == {(None, "insufficient_data", 0)}
    assert {m.status for m in tables["measurements"] if m.year == 2019 and m.zone_id == "site"} == {"ok"}
    assert {c.verdict for c in tables["changes"]} == {"insufficient_data"}
    assert "insufficient_data" in capsys.readouterr().out


def test_years_that_have_no_scene_at_all_fail_the_site(archive, finished, capsys):
    assert run(archive, finished, "--years", "2030-2031") == 1
    failed_line(capsys, "no scene over the AOI in 2030-2031", "years")


def test_a_band_that_is_missing_everywhere_is_named_with_the_site(archive, finished, capsys):
    edit_items(archive, lambda d: d["assets"].pop(next(k for k in d["assets"] if k in {"B8A", "nir08"})))
    assert run(archive, finished) == 1
    failed_line(capsys, "sim-port", "nir08", "band_substitutes")


def scenes_of(out):
    return {s.scene_id: s for s in read_tables(out / "sim-port" / "sim-port.gpkg")["scenes"]}


def first_item(archive):
    return min(archive.glob("S2*_201805*"))


def without_band(item):
    edit_json(
        item / f"{item.name}.json", lambda d: d["assets"].pop(next(k for k in d["assets"] if k in {"B8A", "nir08"}))
    )
    return "nir08"


def not_a_raster(item):
    replace_file(item / "B11.tif", b"<html>gone</html>" * 40)
    return "B11.tif"


def no_file(item):
    (item / "B11.tif").unlink()
    return "B11.tif"


def empty_file(item):
    replace_file(item / "B11.tif", b"")
    return "B11.tif"


def cut(item):
    content = (item / "B11.tif").read_bytes()
    replace_file(item / "B11.tif", content[: len(content) * 2 // 3])
    return "B11.tif"


def no_crs(item):
    with rasterio.open(item / "B11.tif") as source:
        pixels, profile = source.read(1), source.profile
    (item / "B11.tif").unlink()
    with rasterio.open(item / "B11.tif", "w", **{**profile, "driver": "GTiff", "crs": None}) as target:
        target.write(pixels, 1)
    return "B11.tif"


HARMS = [(harm, "reference") for harm in (without_band, not_a_raster, no_file, empty_file, cut, no_crs)]


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "evidence"), [*HARMS, (cut, "copy")])
def test_a_broken_scene_is_refused_with_its_reason_and_the_rest_is_measured(
    harm, evidence, port, archive, tmp_path, capsys
):
    item = first_item(archive)
    named = harm(item)
    (archive / "aoi" / "sim-port.geojson").unlink()
    aoi_alone(port, "sim-port", archive / "aoi")
    config = yaml.safe_load((archive / "config.yaml").read_text())
    config["source"]["evidence"] = evidence
    replace_file(archive / "config.yaml", yaml.safe_dump(config))
    assert run(archive, tmp_path / "out", "--years", "2018") == 0, capsys.readouterr().err
    scenes = scenes_of(tmp_path / "out")
    assert not scenes[item.name].used
    assert named in scenes[item.name].reason
    assert sum(s.used for s in scenes.values()) >= 8
    report = (tmp_path / "out" / "sim-port" / "report.html").read_text(encoding="utf-8")
    assert item.name in report


@pytest.mark.parametrize("harm", [not_a_raster, cut])
def test_scenes_that_are_all_broken_fail_the_site_with_the_reason(harm, archive, finished, capsys):
    for item in archive.glob("S2*"):
        harm(item)
    assert run(archive, finished) == 1
    failed_line(capsys, "sim-port", "B11.tif")


def to_longitude_latitude(item):
    """Deliver an item's files in EPSG:4326, and say so."""
    for path in item.glob("*.tif"):
        with rasterio.open(path) as source:
            transform, width, height = calculate_default_transform(
                source.crs, "EPSG:4326", source.width, source.height, *source.bounds
            )
            pixels = source.read(1)
            out = pixels.__class__((height, width), pixels.dtype)
            method = Resampling.nearest if path.stem == "SCL" else Resampling.cubic
            reproject(
                pixels, out, src_transform=source.transform, src_crs=source.crs, dst_transform=transform,
                dst_crs="EPSG:4326", src_nodata=0, dst_nodata=0, resampling=method,
            )  # fmt: skip
        path.unlink()
        profile = {"driver": "GTiff", "count": 1, "crs": "EPSG:4326", "transform": transform, "nodata": 0}
        with rasterio.open(path, "w", width=width, height=height, dtype=out.dtype, **profile) as target:
            target.write(out, 1)

    def declare(document):
        for holder in (document["properties"], *document["assets"].values()):
            for key in [k for k in holder if k.startswith("proj:")]:
                del holder[key]
        document["properties"]["proj:epsg"] = 4326

    edit_json(item / f"{item.name}.json", declare)


@pytest.mark.slow
def test_scenes_of_several_coordinate_systems_are_measured_together(archive, tmp_path):
    """The areas do not depend on the system the pixels came in: true geodesic areas are still covered."""
    changed = sorted(archive.glob("S2*_2018*"))[::3]
    for item in changed:
        to_longitude_latitude(item)
    assert run(archive, tmp_path / "out", "--years", "2018") == 0
    scenes = scenes_of(tmp_path / "out")
    assert {scenes[item.name].used for item in changed if item.name in scenes} == {True}
    truth = json.loads((archive / "truth.json").read_text())["sites"]["sim-port"]["years"]["2018"]["piles"]
    total = sum(pile["geodesic_area_m2"] for pile in truth.values())
    (found,) = [
        m
        for m in read_tables(tmp_path / "out" / "sim-port" / "sim-port.gpkg")["measurements"]
        if (m.zone_id, m.metric, m.year) == ("site", "stockpile_area_m2", 2018)
    ]
    assert found.lo95 <= total <= found.hi95


def test_a_real_catalogue_is_not_taken_for_a_simulated_one(archive, finished, capsys):
    edit_items(archive, lambda d: d["properties"].pop("stockline:simulated"), only=1)
    assert run(archive, finished) == 2
    refused_line(capsys, "source.kind", "stac")


def limited(size_bytes):
    """Let the process write no file longer than this, as a disk that runs full."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    return limit


# Another span of years, so that everything is measured anew and every product would have other bytes.
ANEW = ("--years", "2018")


@pytest.mark.slow
@pytest.mark.parametrize("size_bytes", [20_000, 400_000])
def test_a_full_disk_is_told_and_loses_nothing(size_bytes, archive, finished):
    arguments = ("run", "--config", archive / "config.yaml", "--out", finished, *ANEW)
    done = subprocess.run(
        command_line(*arguments), env=environment(), capture_output=True, text=True, check=False,
        preexec_fn=limited(size_bytes),
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    # The least is so little that not even the books of batches can be written.
    (last,) = [line for line in done.stderr.splitlines() if line.startswith(("sim-port: FAILED", "stockline: "))]
    assert "unexpected" not in last
    assert str(finished) in last
    assert "disk" in last
    assert cli.main(["verify", str(finished)]) == 0
    assert not list((finished / ".work").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["2018.tif", "2018.qml", "sim-port.gpkg", "report.pdf", "changes.csv", "sim-port.kml", "manifest.json", "run.json"],
)
def test_a_disk_that_runs_full_while_products_are_written_loses_nothing(
    name, archive, port_results, tmp_path, capsys, monkeypatch
):
    """The disk says that it is full when a file is brought to it, as a file system with late allocation does."""
    out = Path(shutil.copytree(port_results, tmp_path / "out"))
    before = hashes(out, without=NOT_RESULTS)
    flush = atomic.flush

    def full(path):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(path)

    monkeypatch.setattr(atomic, "flush", full)
    assert run(archive, out, *ANEW) == 1
    failed_line(capsys, name, "No space left on device", "disk")
    assert cli.main(["verify", str(out)]) == 0
    assert hashes(out, without=NOT_RESULTS) == before
