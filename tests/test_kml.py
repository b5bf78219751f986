"""KML of outlines and changes: where GDAL reads them, what they say, and that no text of strangers becomes markup."""

import hashlib
import html
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import report_fixture
from product_checks import KML, check_kml

from pipeline.products._looks import looks_of
from pipeline.products.finished import Finished
from pipeline.products.geopackage import write_geopackage
from pipeline.products.kml import LAYERS_SHOWN, write_kml
from pipeline.records import LAYERS, RunRow, ZoneRow

ROOT = Path(__file__).resolve().parents[1]
EPSG = 32652
STRANGE = "<script>alert('x')</script> & \x0b 회령 ]]>"


def made_up(*, simulated=False, zone="settlement"):
    tables = {name: [] for name in LAYERS} | dict(report_fixture.make_tables())
    (first, *rest) = tables["zones"]
    pierced = first.geometry - first.geometry.centroid.buffer(100)
    tables["zones"] = [ZoneRow(**{**vars(first), "name": zone, "geometry": pierced}), *rest]
    facts = {"site_id": "pukchang", "site_name": STRANGE, "epsg": str(EPSG), "simulated": "yes" if simulated else "no"}
    tables["run"] = [RunRow(key, value) for key, value in facts.items()]
    return tables


def write(folder, **how):
    source = folder / "pukchang.gpkg"
    write_geopackage(source, made_up(**how), EPSG, "Pukchang", how.get("simulated", False))
    return write_kml(folder, Finished.at(source)), source


def root_of(path):
    return ET.parse(path).getroot()  # noqa: S314 - written by the test itself


def texts(root, place):
    return [element.text for element in root.findall(place.replace("/", f"/{KML}").replace(f"./{KML}/", ".//"))]


@pytest.mark.parametrize("simulated", [False, True])
def test_gdal_reads_the_outlines_of_the_geopackage(tmp_path, simulated):
    path, source = write(tmp_path, simulated=simulated)
    assert path.name == "pukchang.kml"
    check_kml(path, source, simulated=simulated)


def test_a_polygon_is_shown_in_its_year_with_its_numbers(tmp_path):
    path, _ = write(tmp_path)
    year = report_fixture.YEARS[-1]
    piles = [
        mark
        for mark in root_of(path).iter(f"{KML}Placemark")
        if mark.find(f"{KML}styleUrl").text.startswith("#stockpiles-")
    ]
    (newest,) = [mark for mark in piles if mark.find(f"{KML}name").text.endswith(f", {year}")]
    assert newest.find(f"{KML}TimeSpan/{KML}begin").text == f"{year}-01-01"
    values = {data.get("name"): data.text for data in newest.iter(f"{KML}SimpleData")}
    assert float(values["area_m2"]) == report_fixture.AREA[year]
    assert values["year"] == str(year)
    said = newest.find(f"{KML}description").text
    assert "2.31 ha (95 % interval " in said, "23 100 m2"
    assert "volume_lo_m3" not in values, "NULL is left out"


def test_a_pile_reviewers_reject_says_so(tmp_path):
    tables = made_up()
    tables["stockpiles"] = [replace(row, review="rejected") for row in tables["stockpiles"]]
    source = tmp_path / "pukchang.gpkg"
    write_geopackage(source, tables, EPSG, "Pukchang", False)
    told = [e.text for e in root_of(write_kml(tmp_path, Finished.at(source))).iter(f"{KML}description")]
    assert sum("Probable, rejected in review" in text for text in told) == len(tables["stockpiles"])


def test_colours_are_those_of_the_styles(tmp_path):
    path, _ = write(tmp_path)
    root = root_of(path)
    for layer in LAYERS_SHOWN:
        for value, look in looks_of(layer)[1].items():
            (style,) = [s for s in root.iter(f"{KML}Style") if s.get("id") == (f"{layer}-{value}" if value else layer)]
            line = style.find(f"{KML}LineStyle/{KML}color").text
            assert bytes.fromhex(line) == bytes([255, *reversed(look.line)])
            assert style.find(f"{KML}PolyStyle/{KML}fill").text == str(int(look.fill is not None))
    assert looks_of("stockpile_changes")[1]["increase"].line == (213, 94, 0), "vermillion of Okabe and Ito"


def test_texts_of_strangers_are_text_for_reader_and_balloon(tmp_path):
    path, _ = write(tmp_path, zone=STRANGE)
    root = root_of(path)
    assert root.find(f"{KML}Document/{KML}name").text == STRANGE.replace("\x0b", "\ufffd")
    (zone,) = [p for p in root.iter(f"{KML}Placemark") if "script" in p.find(f"{KML}name").text]
    balloon = zone.find(f"{KML}description").text
    assert not re.search(r"<(?!br/>)", balloon), "what a balloon takes for markup"
    assert STRANGE.replace("\x0b", "\ufffd") in html.unescape(balloon)


def test_elements_stand_in_the_order_of_the_schema(tmp_path):
    """OGC 07-147r2: name, visibility, description, time, style, data, geometry; schemas before features."""
    path, _ = write(tmp_path)
    order = ["name", "visibility", "open", "description", "TimeSpan", "styleUrl", "Style", "ExtendedData"]
    order += ["MultiGeometry", "Schema", "Folder", "Placemark"]
    kinds = {"Document", "Folder", "Placemark"}
    for element in root_of(path).iter():
        if element.tag.removeprefix(KML) in kinds:
            tags = [order.index(child.tag.removeprefix(KML)) for child in element]
            assert tags == sorted(tags), element.tag
    names = texts(root_of(path), ".//Folder/name")
    assert len(names) == len(set(names)), "GDAL takes each for a layer"


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_kml import write
Path(sys.argv[3]).mkdir()
write(Path(sys.argv[3]), simulated=True)
"""


def test_bytes_do_not_depend_on_time_zone_or_locale(tmp_path):
    digests = set()
    for index, (zone, language) in enumerate([("UTC", "C"), ("Asia/Pyongyang", "ko_KR.UTF-8")]):
        folder = tmp_path / str(index)
        command = [sys.executable, "-c", SCRIPT, str(ROOT), str(ROOT / "tests"), str(folder)]
        environment = {**os.environ, "TZ": zone, "LC_ALL": language}
        subprocess.run(command, check=True, env=environment)
        digests.add(hashlib.sha256((folder / "pukchang.kml").read_bytes()).hexdigest())
    assert len(digests) == 1
