"""The map's data held against the tables they were made of, and its images against the composites."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image
from report_fixture import BASELINE, LEFT, NASTY, SIZE_M, TOP, make_facts, make_map, make_pictures, make_tables

from pipeline.products import site_map as module
from pipeline.products.cog import write_cog
from pipeline.products.map_images import LOOKS, MapImages, map_images
from pipeline.products.results import Results
from pipeline.products.site_map import site_map
from pipeline.products.statements import statements
from pipeline.products.view import build_view
from pipeline.types import Grid

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
NO_IMAGES = MapImages(None, {look: {} for look in LOOKS})


@pytest.fixture(scope="module")
def drawn():
    tables = make_tables()
    return make_map(tables, build_view(tables, make_pictures(), make_facts())).data


def polygons(rings):
    """Read polygons back from first points and steps."""
    outlines = []
    for polygon in rings:
        points = [np.cumsum(np.reshape(ring, (-1, 2)), axis=0) for ring in polygon]
        outlines.append(shapely.Polygon(points[0], points[1:]))
    return shapely.union_all(outlines)


def test_outlines_are_those_of_the_layers_to_a_metre(drawn):
    by_key = {feature["key"]: feature for feature in drawn["features"]}
    assert drawn["size"] == [SIZE_M, SIZE_M]
    for row in make_tables()["stockpiles"]:
        feature = by_key[f"pile/{row.pile_id}/{row.year}"]
        truth = shapely.affinity.translate(row.geometry, -LEFT, SIZE_M - TOP)
        assert shapely.hausdorff_distance(polygons(feature["rings"]), truth) <= 1.0
        assert (feature["kind"], feature["years"]) == (row.tier, [row.year])
    hole = shapely.Polygon(shapely.box(0, 0, 90, 90).exterior, [shapely.box(30, 30, 60, 60).exterior.coords])
    assert polygons(module._rings(hole, (0, 0, 90, 90))).area == 90**2 - 30**2


def test_years_say_their_values_or_that_there_are_none(drawn):
    said = {year["year"]: year["said"] for year in drawn["years"]}
    assert list(said) == [2016, 2017, 2018, 2019, 2020, 2021]
    assert said[2021] == "stockpile area: 2.31 ha (2.14 to 2.48); area of occupied ground: 40.4 ha (39.0 to 41.9)"
    assert said[2019] == "stockpile area: not observable; area of occupied ground: not observable"
    assert (drawn["baseline"], drawn["newest"]) == (2016, 2021)


def test_a_statement_leads_to_the_outlines_its_number_is_of(drawn):
    target = drawn["targets"]["site/stockpile_area_m2/2016-2021"]
    pile = next(row.geometry for row in make_tables()["stockpiles"] if row.year == 2021)
    left, bottom, right, top = shapely.affinity.translate(pile, -LEFT, SIZE_M - TOP).bounds
    box = target["box"]
    assert box[0] < left < right < box[2]
    assert box[1] < bottom < top < box[3]
    assert max(box[2] - box[0], box[3] - box[1]) < 500
    assert shapely.Point(target["at"]).within(shapely.box(left, bottom, right, top))
    assert target["years"] == [2016, 2021]
    assert ["Difference", "+1.30 ha (+1.12 to +1.49)"] in target["rows"]
    assert ["Scenes of 2021", "scenes/2021"] in target["links"]
    # Nothing is outlined in this zone: the zone itself is shown.
    zone = drawn["targets"]["named:tukchang/footprint_area_m2/2016-2021"]["box"]
    assert (zone[0], zone[2]) == (1_900 - 60, 2_700 + 60)


def test_candidates_are_drawn_and_not_what_a_statement_leads_to():
    tables = make_tables()
    far = shapely.box(LEFT + 2_800, TOP - 200, LEFT + 2_900, TOP - 100)
    newest = next(row for row in tables["stockpiles"] if row.year == 2021)
    tables["stockpiles"].append(replace(newest, pile_id="P002", tier="candidate", geometry=far, area_m2=1e4))
    results = Results(tables, BASELINE)
    data = site_map(results, statements(results, 0.1), NO_IMAGES, simulated=False).data
    assert any(feature["kind"] == "candidate" for feature in data["features"])
    assert data["targets"]["site/stockpile_area_m2/2016-2021"]["box"][2] < 2_000


def test_ground_is_drawn_coarser_when_it_would_not_fit_and_the_note_says_so(monkeypatch):
    tables = make_tables()
    angles = np.linspace(0, 2 * np.pi, 4_000, endpoint=False)
    wavy = 500 + 8 * np.sin(400 * angles)
    ragged = shapely.Polygon(
        np.column_stack([LEFT + 1_400 + wavy * np.cos(angles), TOP - 1_300 + wavy * np.sin(angles)])
    )
    tables["footprints"] = [replace(row, geometry=ragged) for row in tables["footprints"]]
    results = Results(tables, BASELINE)
    fine = site_map(results, (), NO_IMAGES, simulated=False)
    assert "left out" not in fine.note
    size = sum(len(str(feature["rings"])) for feature in fine.data["features"])
    monkeypatch.setattr(module, "MOST_CHARACTERS", size // 2)
    coarse = site_map(results, (), NO_IMAGES, simulated=False)
    assert sum(len(str(feature["rings"])) for feature in coarse.data["features"]) <= size // 2
    assert "Bends of occupied ground of less than" in coarse.note
    piles = [[f for f in one.data["features"] if f["layer"] == "pile"] for one in (fine, coarse)]
    assert piles[0] == piles[1]


def test_no_outline_is_called_a_perimeter_that_has_no_source(drawn):
    titles = {feature["title"] for feature in drawn["features"]}
    assert "Area measured" in titles
    assert not any("erimeter" in title for title in titles)
    tables = make_tables()
    aoi = tables["sites"][0]
    tables["sites"].append(replace(aoi, role="perimeter", name="fence", source=NASTY))
    inside = replace(tables["zones"][1], zone_id="inside", role="inside", reference="baseline_footprint")
    tables["zones"].append(inside)
    results = Results(tables, BASELINE)
    data = site_map(results, (), NO_IMAGES, simulated=False).data
    titles = {feature["title"]: feature for feature in data["features"]}
    assert titles["Perimeter from a source"]["rows"][1] == ["Source", f"{NASTY}, 2016"]
    assert "Measured reference, not a perimeter" in titles


def composites(folder, years, values):
    """Write composites of the bands whose values are given by (year, band), shape (rows, columns)."""
    for year in years:
        layers = np.stack([values(year, band) for band in BANDS]).astype(np.uint16)
        grid = Grid(32652, 500_000.0, 4_400_000.0, layers.shape[2], layers.shape[1])
        write_cog(folder / f"{year}.tif", BANDS, lambda rows, columns, at=layers: at[:, rows, columns], grid, {})


def pixels(uri):
    head, content = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")).astype(int)


def test_years_share_one_stretch_and_each_look_its_bands(tmp_path):
    level = {"blue": 400, "green": 600, "red": 800, "nir": 3_000, "swir16": 2_000, "swir22": 1_500}

    def values(year, band):
        # Left half as ever, right half brighter in the second year; a corner without data.
        field = np.full((200, 200), level[band] * (2 if band == "nir" else 1))
        field[:, 100:] = level[band] * (1 if year == 2020 else 2)
        field[:20, :20] = 65535
        return field

    composites(tmp_path, (2020, 2021), values)
    made = map_images(tmp_path)
    assert made.bounds == (500_000.0, 4_398_000.0, 502_000.0, 4_400_000.0)
    for look in LOOKS:
        one, other = (pixels(made.images[look][year]) for year in (2020, 2021))
        assert np.abs(one[60:140, 20:80] - other[60:140, 20:80]).max() <= 3
        assert (other[60:140, 120:180] > one[60:140, 120:180] + 20).all()
        assert np.abs(one[5:12, 5:12] - 190).max() <= 6
    true = pixels(made.images["true"][2020])[100, 150]
    assert true[0] > true[1] > true[2]


def test_images_are_as_fine_as_fit_into_the_bytes_they_may_have(tmp_path):
    rng = np.random.default_rng(3)
    # The first year, on which a size is tried, is the smoothest.
    composites(tmp_path, (2020, 2021), lambda year, _: rng.normal(1_500, 40 if year == 2020 else 400, (700, 600)))
    sizes = []
    for most in (3_000_000, 400_000, 60_000):
        made = map_images(tmp_path, most)
        contents = [uri.split(",")[1] for of in made.images.values() for uri in of.values()]
        assert sum(len(base64.b64decode(content)) for content in contents) <= most
        sizes.append(pixels(made.images["true"][2020]).shape[0])
    assert sizes[0] == 700
    assert sizes[0] > sizes[1] > sizes[2]
    assert map_images(tmp_path, 400_000) == map_images(tmp_path, 400_000)


def test_a_folder_without_composites_gives_a_map_without_images(tmp_path):
    assert map_images(tmp_path) == NO_IMAGES
