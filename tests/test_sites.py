import copy
import csv
import hashlib
import json
import math
from pathlib import Path

import pyproj
import pytest
import shapely
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping

from pipeline.config import LimitsConfig
from pipeline.errors import InputError
from pipeline.sites import read_claims, read_site, read_sites

ROOT = Path(__file__).parent.parent
AOI = ROOT / "aoi"
DATA = ROOT.parent / "shared" / "data"
LIMITS = LimitsConfig()
SHIPPED = sorted(AOI.glob("*.geojson"))
EARTH_RADIUS_M = 6371008.8
CONTROL_DISTANCE_M = 4000.0
"""aoi/README.md: a control's centre is farther than this from every listed point."""

QUOTES = {
    "production-2016": "We also found an increase in coal production on satellite photos and expansion of boundaries "
    "of the political prison camps producing coal, even as sanctions were becoming more restrictive after 2016.",
    "stockpiles-visible": "there has been an abundance of coal for export - in violation of UN Security Council "
    "sanctions - and visible stockpiles of coal on satellite photos",
    "production-2018": "we found an increase in coal production since 2018 on satellite photos",
    "boundaries": "expansion of boundaries of the political prison camps producing coal",
    "adjacent-zones": "and the zones adjacent to the camps hosting released prisoners and their families, even as "
    "international sanctions on coal were becoming more restrictive after 2016",
}
PARTS = {
    "production-2016-ground": "production-2016",
    "production-2018-ground": "production-2018",
    "boundaries-outside": "boundaries",
    "adjacent-zones-rings": "adjacent-zones",
}
"""Entries that test a further measurable part of a claim."""


def haversine_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance of two (longitude, latitude) points; within 0.6 % of the ellipsoid."""
    (lon_a, lat_a), (lon_b, lat_b) = ([math.radians(v) for v in p] for p in (a, b))
    h = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(h))


def equal_area_m2(polygon) -> float:
    """Planar area in a Lambert equal-area projection centred on the polygon."""
    centre = polygon.centroid
    crs = pyproj.CRS.from_proj4(f"+proj=laea +lon_0={centre.x} +lat_0={centre.y} +ellps=WGS84")
    to_metres = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform
    return shapely.transform(polygon, to_metres, interleaved=False).area


def feature(geometry, **properties) -> dict:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def square(west: float, south: float, size: float = 0.1) -> dict:
    return json.loads(json.dumps(mapping(box(west, south, west + size, south + size))))


def good() -> dict:
    return {
        "type": "FeatureCollection",
        "features": [
            feature(square(126.0, 39.0), role="aoi", id="place", name="Place", kind="camp", coal_rank="hard"),
            feature(square(126.01, 39.01, 0.02), role="perimeter", source="a map", valid_from="2016-03-17"),
            feature(square(126.04, 39.04, 0.02), role="zone", name="Village", source="a report"),
            feature(square(126.07, 39.07, 0.01), role="control", name="Valley"),
        ],
    }


def write(folder: Path, document: object, name: str = "place.geojson") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


# ---- what is shipped ----


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_file_passes_and_says_where_it_comes_from(path):
    site = read_site(path, LIMITS)
    assert site.id == path.stem
    assert site.source
    assert site.uncertainty_m is not None
    assert "uncertainty_m:" in (site.note or "")
    assert "AOI:" in (site.note or "")
    assert site.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert site.aoi.within(box(124.0, 37.5, 131.0, 43.2))
    assert all(f.source for f in site.features)
    assert not site.with_role("perimeter")
    for f in site.features:
        assert f.geometry.difference(site.aoi.buffer(2e-6)).is_empty, f"{f.name} is cut by the AOI"


def test_shipped_sites_are_those_asked_for():
    ids = {site.id for site in read_sites(AOI, LIMITS)}
    assert {"camp-14", "camp-15", "camp-16", "camp-18", "camp-22", "camp-25", "chomabong"} <= ids
    assert {f"kyohwaso-{n}" for n in (1, 3, 4, 8, 9, 11, 12, "sunchon")} <= ids
    assert {"mine-tukchang", "mine-jikdong", "port-nampo", "port-rajin", "power-pukchang", "power-chongchongang"} <= ids


def zone_of(site_id: str, name: str):
    (found,) = (f for f in read_site(AOI / f"{site_id}.geojson", LIMITS).features if f.name == name)
    return found.geometry


@pytest.mark.parametrize(
    ("site_id", "name", "area_m2"),
    [
        ("chomabong", "Chomabong", 14.5e6),
        ("camp-14", "Chomabong", 14.5e6),
        ("camp-14", "Tukchang", math.pi * 2000**2),
        ("camp-18", "Tukchang", math.pi * 2000**2),
        ("camp-14", "Bearing 045", math.pi * 1000**2),
        ("camp-22", "Bearing 045", math.pi * 1000**2),
    ],
)
def test_circles_have_the_area_they_state(site_id, name, area_m2):
    assert equal_area_m2(zone_of(site_id, name)) == pytest.approx(area_m2, rel=0.01)


@pytest.mark.parametrize(
    ("site_id", "width_km", "height_km"), [("camp-14", 27, 27), ("camp-16", 30, 35), ("chomabong", 13.3, 13.3)]
)
def test_boxes_have_the_published_lengths(site_id, width_km, height_km):
    west, south, east, north = read_site(AOI / f"{site_id}.geojson", LIMITS).aoi.bounds
    middle = (south + north) / 2
    assert haversine_m((west, middle), (east, middle)) / 1000 == pytest.approx(width_km, rel=0.01)
    assert haversine_m((west, south), (west, north)) / 1000 == pytest.approx(height_km, rel=0.01)


def test_jikdong_is_where_the_facility_table_has_it():
    centre = read_site(AOI / "mine-jikdong.geojson", LIMITS).aoi.centroid
    assert haversine_m((centre.x, centre.y), (126.032621, 39.494166)) < 10


def test_camp_22_is_at_the_point_of_the_text():
    centre = read_site(AOI / "camp-22.geojson", LIMITS).aoi.centroid
    assert haversine_m((centre.x, centre.y), (129.91401, 42.54549)) < 20


def controls() -> list[tuple[str, tuple[float, float]]]:
    sites = read_sites(AOI, LIMITS)
    return [(s.id, (f.geometry.centroid.x, f.geometry.centroid.y)) for s in sites for f in s.with_role("control")]


def test_controls_keep_the_stated_distance_from_every_other_site():
    assert [site_id for site_id, _ in controls()] == ["camp-14", "camp-22"]
    points = [s.aoi.centroid for s in read_sites(AOI, LIMITS) if s.id != "camp-18"]  # its point is off-centre
    nearest = min(haversine_m(c, (p.x, p.y)) for _, c in controls() for p in points)
    assert nearest > CONTROL_DISTANCE_M * 1.006


def test_controls_keep_the_stated_distance_from_every_listed_point():
    tables = [*DATA.glob("dprk-sites/dprk_sites.csv"), *DATA.glob("dprk-facilities/*.csv")]
    if not tables:
        pytest.skip(f"the tables of points are not in {DATA}")
    points = []
    for table in tables:
        with table.open(encoding="utf-8") as lines:
            points += [(float(row["lon"]), float(row["lat"])) for row in csv.DictReader(lines)]
    assert len(points) > 100
    assert min(haversine_m(c, p) for _, c in controls() for p in points) > CONTROL_DISTANCE_M * 1.006


# ---- what is refused ----


def aoi_property(key, value):
    def change(document):
        document["features"][0]["properties"][key] = value

    return change


def without(number, key):
    return lambda document: document["features"][number]["properties"].pop(key)


def with_property(number, key, value):
    def change(document):
        document["features"][number]["properties"][key] = value

    return change


def with_geometry(number, geometry):
    def change(document):
        document["features"][number]["geometry"] = geometry

    return change


def ring(*points):
    return {"type": "Polygon", "coordinates": [[*map(list, points), list(points[0])]]}


def with_crs(name):
    def change(document):
        document["crs"] = {"type": "name", "properties": {"name": name}}

    return change


def add_feature(new):
    return lambda document: document["features"].append(new)


BOWTIE = ring((126.0, 39.0), (126.1, 39.1), (126.1, 39.0), (126.0, 39.1))
BAD = {
    "no aoi": (lambda d: d["features"].pop(0), ["0 features have role aoi", "exactly one"]),
    "two aois": (lambda d: d["features"].append(copy.deepcopy(d["features"][0])), ["2 features have role aoi"]),
    "a feature alone": (lambda d: d.update(type="Feature"), ["type is 'Feature'", "FeatureCollection"]),
    "no list of features": (lambda d: d.update(features={}), ["FeatureCollection"]),
    "unknown role": (with_property(2, "role", "zonne"), ["feature 3", "role is 'zonne'", "aoi, perimeter, zone"]),
    "role is a list": (with_property(2, "role", ["zone"]), ["feature 3", "role is ['zone']"]),
    "no properties": (lambda d: d["features"][1].update(properties=None), ["feature 2", "no properties"]),
    "no id": (without(0, "id"), ["feature 1 (aoi)", "attribute id is missing"]),
    "blank name": (aoi_property("name", " "), ["feature 1 (aoi)", "attribute name is missing"]),
    "null rank": (aoi_property("coal_rank", None), ["attribute coal_rank is missing", "kind, coal_rank"]),
    "perimeter without source": (without(1, "source"), ["feature 2 (perimeter)", "attribute source is missing"]),
    "perimeter without date": (without(1, "valid_from"), ["feature 2 (perimeter)", "valid_from is missing"]),
    "zone without source": (without(2, "source"), ["feature 3 (zone)", "attribute source is missing"]),
    "control without name": (without(3, "name"), ["feature 4 (control)", "attribute name is missing"]),
    "misspelt attribute": (with_property(1, "vaild_to", "2017-01-01"), ["feature 2", "'vaild_to'", "'valid_to'"]),
    "kind": (aoi_property("kind", "prison"), ["kind is 'prison'", "camp, mine, port, power_plant, other"]),
    "coal rank": (aoi_property("coal_rank", "soft"), ["coal_rank is 'soft'", "hard, lignite, unknown, none"]),
    "id not the file name": (aoi_property("id", "other"), ["id is 'other'", "'place'", "rename"]),
    "id with capitals": (aoi_property("id", "Place"), ["id is 'Place'", "lower-case"]),
    "id is a number": (aoi_property("id", 14), ["id is 14", "as text"]),
    "id ends in a line break": (aoi_property("id", "place\n"), ["id is 'place\\n'", "lower-case"]),
    "source date is a number": (aoi_property("source_date", 2016), ["source_date is 2016", "as text"]),
    "uncertainty as text": (aoi_property("uncertainty_m", "500"), ["uncertainty_m is '500'", "metres"]),
    "negative uncertainty": (aoi_property("uncertainty_m", -1), ["uncertainty_m is -1", "0 or more"]),
    "uncertainty is true": (aoi_property("uncertainty_m", value=True), ["uncertainty_m is True"]),
    "bad day": (with_property(1, "valid_from", "17.3.2016"), ["feature 2", "valid_from is '17.3.2016'", "YYYY-MM-DD"]),
    "impossible day": (with_property(1, "valid_to", "2017-02-30"), ["valid_to is '2017-02-30'"]),
    "days exchanged": (with_property(1, "valid_to", "2015-01-01"), ["valid_to 2015-01-01 is before valid_from 2016"]),
    "no geometry": (with_geometry(1, None), ["feature 2", "geometry is empty", "delete"]),
    "empty geometry": (with_geometry(1, {"type": "Polygon", "coordinates": []}), ["feature 2", "geometry is empty"]),
    "a point": (with_geometry(1, {"type": "Point", "coordinates": [126.05, 39.05]}), ["is a Point", "draw a polygon"]),
    "broken geometry": (with_geometry(1, {"type": "Polygon", "coordinates": "x"}), ["feature 2", "cannot be read"]),
    "two vertices": (with_geometry(1, ring((126.0, 39.0))), ["feature 2", "cannot be read"]),
    "endless number": (with_geometry(1, ring((126.0, 39.0), (10**400, 39.1), (126.1, 39.0))), ["cannot be read"]),
    "no type": (with_geometry(1, {}), ["feature 2", "cannot be read"]),
    "not a number": (with_geometry(1, ring((126.0, 39.0), (math.nan, 39.1), (126.1, 39.0))), ["not JSON (NaN"]),
    "self-crossing": (with_geometry(0, BOWTIE), ["not valid", "Self-intersection[126.05 39.05]", "no edges cross"]),
    "projected": (with_geometry(0, square(247069.0, 4384296.0, 10.0)), ["247069", "4384296", "EPSG:4326"]),
    "projected, far west": (with_geometry(0, square(-5e6, 39.0, 10.0)), ["-5000000", "EPSG:4326"]),
    "projected, far south": (with_geometry(0, square(20.0, -4e6, 10.0)), ["-4000000", "EPSG:4326"]),
    "latitude first": (with_geometry(0, square(39.0, 126.0)), ["126.1", "longitude, latitude"]),
    "far north": (with_geometry(0, square(20.0, 83.95)), ["84.05", "where UTM ends"]),
    "far south": (with_geometry(0, square(20.0, -80.05)), ["-80.05", "where UTM ends"]),
    "beyond 180": (with_geometry(0, square(179.95, 10.0)), ["180.05", "antimeridian"]),
    "beyond -180": (with_geometry(0, square(-180.05, 10.0)), ["-180.05", "antimeridian"]),
    "round the world": (
        with_geometry(0, ring((-179.9, 10.0), (179.9, 10.0), (179.9, 10.1), (-179.9, 10.1))),
        ["-179.9 to 179.9", "antimeridian"],
    ),
    "a province": (with_geometry(0, square(126.0, 39.0, 0.6)), ["area is 34", "km2", "max_aoi_km2 = 2500"]),
    "UTM crs": (with_crs("urn:ogc:def:crs:EPSG::32652"), ["crs is 'urn:ogc:def:crs:EPSG::32652'", "EPSG:4326"]),
    "crs without a name": (lambda d: d.update(crs={"properties": None}), ["crs is {'properties': None}"]),
    "crs ends alike": (with_crs("urn:ogc:def:crs:EPSG::14326"), ["crs is", "EPSG:4326"]),
    "zone beside the aoi": (with_geometry(2, square(127.0, 39.0)), ["feature 3 (zone)", "does not overlap the aoi"]),
    "control touches only": (with_geometry(3, square(126.1, 39.0)), ["feature 4 (control)", "does not overlap"]),
    "one name twice": (
        add_feature(feature(square(126.02, 39.06, 0.01), role="zone", name="VILLAGE", source="x")),
        ["feature 5 (zone)", "'VILLAGE' is used twice"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_each_slip_is_refused_in_one_line(tmp_path, case):
    change, words = BAD[case]
    document = good()
    change(document)
    path = write(tmp_path, document)
    with pytest.raises(InputError) as caught:
        read_site(path, LIMITS)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_text_that_is_not_json_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"place\.geojson: is not JSON .*line 1"):
        read_site(write(tmp_path, "{role: aoi}"), LIMITS)
    far = json.dumps(good()).replace("126.0,", "1e999,")
    with pytest.raises(InputError, match=r"feature 1 \(aoi\): a coordinate is not a finite number"):
        read_site(write(tmp_path, far), LIMITS)
    with pytest.raises(InputError, match="is not JSON"):
        read_site(write(tmp_path, "[" * 100_000), LIMITS)
    with pytest.raises(InputError, match="type is 'list'"):
        read_site(write(tmp_path, []), LIMITS)
    with pytest.raises(InputError, match=r"none\.geojson: cannot be read \(No such file"):
        read_site(tmp_path / "none.geojson", LIMITS)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"])
def test_both_names_of_longitude_and_latitude_are_taken(tmp_path, name):
    document = good()
    with_crs(name)(document)
    assert read_site(write(tmp_path, document), LIMITS).id == "place"


def test_what_qgis_writes_is_taken(tmp_path):
    """Every column on every feature, null where it is not filled; fid; heights; a byte-order mark."""
    document = good()
    for number, each in enumerate(document["features"]):
        each["properties"] = {"fid": number, "id": None, "valid_to": None, "note": "", **each["properties"]}
    document["features"][0]["properties"]["uncertainty_m"] = 0
    document["features"][0]["geometry"]["coordinates"] = [
        [[x, y, 12.5] for x, y in document["features"][0]["geometry"]["coordinates"][0]]
    ]
    path = tmp_path / "place.geojson"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(document).encode())
    site = read_site(path, LIMITS)
    assert not site.aoi.has_z
    assert site.note is None
    assert site.uncertainty_m == 0.0
    perimeter, zone, control = site.features
    assert perimeter.name == "perimeter"
    assert str(perimeter.valid_from) == "2016-03-17"
    assert perimeter.valid_to is None
    assert (zone.name, zone.source) == ("Village", "a report")
    assert control.role == "control"


def test_the_area_limit_is_the_geodesic_area(tmp_path):
    path = write(tmp_path, good())
    area_km2 = equal_area_m2(box(126.0, 39.0, 126.1, 39.1)) / 1e6
    assert read_site(path, LimitsConfig(max_aoi_km2=area_km2 * 1.0001))
    with pytest.raises(InputError, match="area is 96 km2"):
        read_site(path, LimitsConfig(max_aoi_km2=area_km2 * 0.9999))


def test_sites_come_sorted_once_and_by_name(tmp_path):
    for site_id in ("b", "a", "c"):
        document = good()
        aoi_property("id", site_id)(document)
        write(tmp_path, document, f"{site_id}.geojson")
    write(tmp_path, "broken", "d.geojson")
    assert [site.id for site in read_sites(tmp_path, LIMITS, ["c", "a", "c"])] == ["a", "c"]
    with pytest.raises(InputError, match=r"d\.geojson: is not JSON"):
        read_sites(tmp_path, LIMITS)
    (tmp_path / "d.geojson").unlink()
    assert [site.id for site in read_sites(tmp_path, LIMITS)] == ["a", "b", "c"]


def test_an_unknown_site_names_the_nearest():
    with pytest.raises(InputError, match=r"site 'camp14' is not in .*; did you mean 'camp-14'"):
        read_sites(AOI, LIMITS, ["camp14"])
    with pytest.raises(InputError, match=r"site 'zzz' is not in .*; known: camp-14, camp-15"):
        read_sites(AOI, LIMITS, ["zzz"])


def test_a_folder_without_sites_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=f"{folder}: holds no site file"):
            read_sites(folder, LIMITS)


@settings(deadline=None)
@given(
    west=st.floats(-180, 179.5),
    south=st.floats(-80, 83.5),
    size=st.tuples(st.floats(0.01, 0.4), st.floats(0.01, 0.4)),
)
def test_any_valid_box_comes_back_as_it_was_drawn(tmp_path_factory, west, south, size):
    drawn = box(west, south, west + size[0], south + size[1])
    document = good()
    del document["features"][1:]
    with_geometry(0, mapping(drawn))(document)
    path = write(tmp_path_factory.getbasetemp(), document)
    site = read_site(path, LIMITS)
    assert site.aoi.equals_exact(drawn, 0.0)
    assert (site.id, site.name, site.kind, site.coal_rank, site.features) == ("place", "Place", "camp", "hard", ())


# ---- claims ----


def test_quotes_are_verbatim_and_sites_and_zones_exist():
    claims = {claim.id: claim for claim in read_claims(AOI / "claims.yaml")}
    assert set(claims) == {*QUOTES, *PARTS}
    sites = {site.id: site for site in read_sites(AOI, LIMITS)}
    for claim in claims.values():
        assert claim.quote == QUOTES[PARTS.get(claim.id, claim.id)]
        assert claim.not_observable
        assert claim.counter_evidence
        assert set(claim.sites) <= set(sites)
        assert len(set(claim.sites)) == len(claim.sites)
        for zone in claim.zones:
            name = zone.removeprefix("named:").capitalize()
            named = {f.name for site_id in claim.sites for f in sites[site_id].with_role("zone")}
            assert not zone.startswith("named:") or name in named


def test_the_rules_are_those_fixed_before_any_run():
    claims = {claim.id: claim for claim in read_claims(AOI / "claims.yaml")}
    stock, presence = claims["production-2016"], claims["stockpiles-visible"]
    assert (stock.observable, stock.metric, stock.zones) == ("stock", "stockpile_area_m2", ("site",))
    assert (stock.baseline, stock.test_years, stock.direction) == (2017, (2017, 2025), "increase")
    assert (stock.margin_fraction, stock.margin_m2) == (0.10, None)
    assert claims["production-2018"].test_years == (2018, 2025)
    assert (presence.observable, presence.metric, presence.direction) == ("presence", "stockpile_count", "presence")
    assert {claims[key].metric for key in ("boundaries", "adjacent-zones")} == {"boundary_gain_m2"}
    text = (AOI / "claims.yaml").read_text(encoding="utf-8")
    assert all(day in text for day in ("2 March 2016", "30 November 2016", "5 August 2017", "22 December 2017"))


def claim_entry() -> dict:
    return {
        "id": "growth",
        "quote": "it grew",
        "source": "a letter",
        "observable": "stock",
        "sites": ["camp-14"],
        "zones": ["site"],
        "metric": "stockpile_area_m2",
        "baseline": 2017,
        "test_years": [2018, 2020],
        "direction": "increase",
        "aggregate": "each site on its own",
        "margin_fraction": 0.1,
        "margin_m2": None,
        "not_observable": "why",
    }


BAD_CLAIMS = {
    "unknown key": ({"zone": ["site"]}, ["claim 1 (growth)", "unknown key 'zone'", "'zones'"]),
    "missing key": ({"metric": ...}, ["claim 1 (growth)", "key metric is missing"]),
    "observable": ({"observable": "flow"}, ["observable = 'flow'", "'stock', 'ground' or 'presence'"]),
    "direction": ({"direction": "decrease"}, ["direction = 'decrease'"]),
    "id": ({"id": "Growth 1"}, ["id is 'Growth 1'", "lower-case"]),
    "no sites": ({"sites": []}, ["sites or zones are empty"]),
    "one site as text": ({"sites": "camp-14"}, ["sites = 'camp-14'"]),
    "zone": ({"zones": ["named:Tukchang"]}, ["zone 'named:Tukchang' is no zone id"]),
    "baseline": ({"baseline": 2019}, ["baseline 2019 is after the first test year 2018"]),
    "year": ({"baseline": "first"}, ["baseline = 'first'"]),
    "years exchanged": ({"test_years": [2020, 2018]}, ["test_years", "(2020, 2018)"]),
    "no margin": ({"margin_fraction": None}, ["0 margins are set", "margin_fraction or margin_m2"]),
    "two margins": ({"margin_m2": 100}, ["2 margins are set"]),
    "margin of nothing": ({"margin_fraction": 0}, ["margin_fraction is 0.0", "above 0"]),
}


@pytest.mark.parametrize("case", BAD_CLAIMS)
def test_each_slip_in_a_claim_is_refused_in_one_line(tmp_path, case):
    change, words = BAD_CLAIMS[case]
    entry = {key: value for key, value in {**claim_entry(), **change}.items() if value is not ...}
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [entry]}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_claims(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: claim 1")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("claims: [", "is not valid YAML"),
        ("", "one key `claims`"),
        ("claims: {}", "one key `claims`"),
        ("claims: []\nrules: []", "one key `claims`"),
        ("claims: [growth]", "claim 1: is str"),
    ],
)
def test_a_file_that_is_no_list_of_claims_is_refused(tmp_path, text, words):
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        read_claims(path)
    assert "\n" not in str(caught.value)


def test_two_claims_of_one_id_are_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [claim_entry(), claim_entry()]}), encoding="utf-8")
    with pytest.raises(InputError, match="claim 2: id 'growth' is used twice"):
        read_claims(path)


def test_a_claim_of_presence_needs_no_margin(tmp_path):
    path = tmp_path / "claims.yaml"
    entry = {**claim_entry(), "observable": "presence", "direction": "presence", "margin_fraction": None}
    path.write_text(yaml.safe_dump({"claims": [entry]}), encoding="utf-8")
    (claim,) = read_claims(path)
    assert (claim.margin_fraction, claim.counter_evidence, claim.test_years) == (None, "", (2018, 2020))
