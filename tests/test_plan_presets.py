"""What ``stockline plan`` says of camp 14 for each archive known by name, in the form its items really have."""

import datetime as dt
import json
import logging
import re

import pytest
import shapely
from conftest import DATA, PROJECT, call
from sentinelhub_server import CLIENT_ID, CLIENT_SECRET, TILE_M, SentinelHubServer, Tile
from shapely.geometry import mapping
from test_items import cdse_item

LOG = logging.getLogger(__name__)
RECORDED = DATA / "stac-items" / "pystac-client_recorded_s2_items.json"
DAYS = [dt.date(2018, 4, 2) + dt.timedelta(days=5 * number) for number in range(40)]
"""As two satellites pass; all of them are in the windows but for those of July and August, which are in the other."""
CORNER_M = (200_000.0, 4_410_000.0)
"""Of a tile that holds the site, EPSG:32652."""
COLLECTIONS = {"earth-search": "sentinel-2-l2a", "earth-search-c1": "sentinel-2-c1-l2a", "planetary-computer": "B02"}


@pytest.fixture(scope="module")
def outline():
    site = json.loads((PROJECT / "aoi" / "camp-14.geojson").read_text())
    (aoi,) = [f for f in site["features"] if f["properties"]["role"] == "aoi"]
    return shapely.buffer(shapely.from_geojson(json.dumps(aoi["geometry"])), 0.2).envelope


def real_item(preset):
    """An item as the archive serves it."""
    if preset == "cdse":
        return cdse_item()
    if not RECORDED.is_file():
        pytest.skip(f"{RECORDED.name} is not here: real items are not part of the project")
    items = json.loads(RECORDED.read_text())["features"]
    if preset == "planetary-computer":
        return next(i for i in items if "B02" in i["assets"] and "MSIL2A" in i["id"])
    return next(i for i in items if i["collection"] == COLLECTIONS[preset])


def write_catalogue(folder, preset, outline):
    """Write a static catalogue of items in the archive's own form, moved to the site and to each day."""
    links = []
    for day in DAYS:
        item = real_item(preset)
        item["id"] = re.sub(r"20\d{6}", f"{day:%Y%m%d}", item["id"])
        item["geometry"], item["bbox"], item["links"] = mapping(outline), list(outline.bounds), []
        item["properties"] |= {"datetime": f"{day}T02:18:51Z", "eo:cloud_cover": 12.0, "s2:mgrs_tile": "52SBJ"}
        item["properties"] = {k: v for k, v in item["properties"].items() if k not in {"proj:epsg", "proj:code"}}
        for asset in item["assets"].values():
            asset.pop("proj:epsg", None)
            asset.pop("proj:code", None)
            asset.pop("file:size", None)
        item["properties"]["proj:epsg"] = 32652
        (folder / f"{item['id']}.json").write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./{item['id']}.json"})
    catalog = {"type": "Catalog", "id": preset, "stac_version": "1.0.0", "description": preset, "links": links}
    (folder / "catalog.json").write_text(json.dumps(catalog))


def planned(tmp_path, source, **environment):
    text = json.dumps({"source": source, "sites": str(PROJECT / "aoi"), "years": {"first": 2018, "last": 2018}})
    (tmp_path / "config.yaml").write_text(text)
    done = call("plan", "camp-14", "--config", tmp_path / "config.yaml", env=environment)
    assert done.returncode == 0, done.stderr
    LOG.info("%s: %s", source.get("preset", source.get("kind")), done.stdout.strip())
    numbers = re.search(
        r"camp-14: (\d+) scenes .* (\d+) of (\d+) items to fetch: at most ([\d,]+) MB in ([\d,]+) requests"
        r"(?:, ([\d,]+) processing units)?(?:; its pixels need .*)?, about", done.stdout,
    )  # fmt: skip
    return [int((number or "0").replace(",", "")) for number in numbers.groups()]


@pytest.mark.parametrize("preset", ["earth-search", "earth-search-c1", "planetary-computer", "cdse"])
def test_the_cost_of_a_camp_is_told_for_each_archive(tmp_path, outline, preset):
    write_catalogue(tmp_path, preset, outline)
    source = {"preset": preset, "url": str(tmp_path / "catalog.json"), "evidence": "copy"}
    scenes, lacking, items, megabytes, requests, units = planned(tmp_path, source)
    assert scenes == lacking == items == 40
    assert units == 0
    if preset == "cdse":
        # Whole files of JPEG 2000, 1.1 bytes a pixel: begun, and fetched.
        assert megabytes == pytest.approx(40 * 1.1 * (4 * 10_980**2 + 4 * 5_490**2) / 1e6, abs=1)
        assert requests == 40 * 8 * 2
    else:
        # By hand: 2,830 x 2,830 px and a block of 1,024 beyond at 10 m, half of it and a block at 20 m.
        assert 1000 < megabytes < 6000
        assert requests == 40 * (4 * (1 + 2830 // 512 + 2) + 4 * (1 + 1415 // 512 + 2))


def test_the_cost_of_a_camp_is_told_for_sentinel_hub(tmp_path):
    assert CORNER_M[0] + TILE_M > 300_000
    tiles = [
        Tile(f"S2B_MSIL2A_{day:%Y%m%d}T021851_N0500_R003_T52SBJ_{day:%Y%m%d}T060000", f"{day}T02:18:51Z",
             left=CORNER_M[0], top=CORNER_M[1], ident=number + 1)
        for number, day in enumerate(DAYS)
    ]  # fmt: skip
    with SentinelHubServer(tiles) as server:
        source = {"kind": "sentinelhub", "url": server.url, "token_url": server.token_url}
        secrets = {"SH_CLIENT_ID": CLIENT_ID, "SH_CLIENT_SECRET": CLIENT_SECRET, "HOME": str(tmp_path)}
        scenes, lacking, items, _, requests, units = planned(tmp_path, source, **secrets)
    assert scenes == lacking == items == 40
    assert requests >= 40 * 5
    # By hand: 4 bands of 2,842 x 2,842 px and 4 of a quarter of that, three bands of 512 x 512 px a unit.
    assert units == pytest.approx(40 * 5 / 3 * 2842 * 2842 / 512**2, rel=0.02)


def test_a_run_over_an_archive_whose_pixels_need_an_account_is_told_before_any_is_asked(tmp_path, outline):
    write_catalogue(tmp_path, "cdse", outline)
    source = {"preset": "cdse", "url": str(tmp_path / "catalog.json"), "evidence": "copy"}
    text = json.dumps({"source": source, "sites": str(PROJECT / "aoi"), "years": {"first": 2018, "last": 2018}})
    (tmp_path / "config.yaml").write_text(text)
    done = call("run", "camp-14", "--config", tmp_path / "config.yaml")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "source.preset = cdse: its files need an account, which is not used here; it serves to search and plan, set "
        "source.kind: sentinelhub to fetch"
    )
