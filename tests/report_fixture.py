"""Finished results of a made-up site, written by hand: six years, one growing pile, one missing year."""

import datetime as dt
import io
from base64 import b64encode

import numpy as np
from affine import Affine
from PIL import Image
from shapely.geometry import Point, Polygon, box

from pipeline.products.map_images import LOOKS, MapImages
from pipeline.products.pictures import Picture
from pipeline.products.results import Results
from pipeline.products.site_map import SiteMap, site_map
from pipeline.products.view import ReportFacts, View
from pipeline.records import (
    LAYERS,
    BoundaryChangeRow,
    ChangeRow,
    ClaimRow,
    FootprintRow,
    MeasurementRow,
    RunRow,
    SceneRow,
    SiteRow,
    StockpileChangeRow,
    StockpileRow,
    Tables,
    ZoneRow,
)
from pipeline.series_records import TrendRow, YearSceneRow

NAME = "북창 Pukchang"
NASTY = """<script>alert("x")</script> #panic() $x^2$ *a* _b_ \\ 'q' @ref {{ 7*7 }} `raw` https://evil.example/"""
YEARS = (2016, 2017, 2018, 2019, 2020, 2021)
MISSING = 2019
BASELINE = 2016
LEFT, TOP, SIZE_M = 500_000.0, 4_400_000.0, 3_000.0
AREA = {2016: 10_050.0, 2017: 10_900.0, 2018: 12_400.0, 2020: 17_800.0, 2021: 23_100.0}
GROUND = {2016: 402_000.0, 2017: 405_000.0, 2018: 399_000.0, 2020: 409_000.0, 2021: 404_500.0}
SPRING, AUTUMN = (4, 1), (10, 20)


def _pile(area_m2: float) -> Polygon:
    return Point(LEFT + 1_400, TOP - 1_200).buffer((area_m2 / np.pi) ** 0.5)


def _measurements() -> list[MeasurementRow]:
    rows = []
    for year in YEARS:
        if year == MISSING:
            for zone in ("site", "named:tukchang"):
                rows += [
                    MeasurementRow("pukchang", zone, year, metric, None, None, None, unit, 3, 0.31, "insufficient_data")
                    for metric, unit in (
                        ("stockpile_area_m2", "m2"),
                        ("stockpile_count", "count"),
                        ("footprint_area_m2", "m2"),
                    )
                ]
            continue
        area, ground, n = AREA[year], GROUND[year], 9 + year % 5
        values = (
            ("stockpile_area_m2", area, area * 0.93, area * 1.07, "m2"),
            ("stockpile_count", 1.0, 1.0, 1.0, "count"),
            ("footprint_area_m2", ground, ground - 14_000, ground + 14_000, "m2"),
        )
        for metric, value, lo95, hi95, unit in values:
            rows.append(MeasurementRow("pukchang", "site", year, metric, value, lo95, hi95, unit, n, 0.97, "ok"))
        rows.append(
            MeasurementRow(
                "pukchang",
                "named:tukchang",
                year,
                "footprint_area_m2",
                *((5_800.0, 4_700.0, 6_900.0) if year == 2021 else (8_400.0, 7_300.0, 9_500.0)),
                "m2",
                n,
                0.9,
                "partial",
            )
        )
    return rows


def _change(zone, metric, years, numbers, verdict, reason=None):
    unit = "count" if metric == "stockpile_count" else "m2"
    delta, lo95, hi95, mdc95, p, q = numbers
    return ChangeRow("pukchang", zone, metric, *years, delta, lo95, hi95, mdc95, unit, p, q, verdict, reason)


NOTHING = (None, None, None, None, None, None)
FEW = f"{MISSING}: 3 of 6 dates"


def _changes() -> list[ChangeRow]:
    """Every later year against the baseline year; the numbers that matter to a test are set by hand below."""
    rows = {}
    for year in YEARS[1:]:
        for metric in ("stockpile_area_m2", "stockpile_count", "footprint_area_m2", "boundary_gain_m2"):
            key = ("site", metric, (BASELINE, year))
            if year == MISSING:
                rows[key] = _change(*key, NOTHING, "insufficient_data", FEW)
            elif metric == "stockpile_count":
                rows[key] = _change(*key, (0.0, -0.4, 0.4, 0.4, 1.0, 1.0), "no_detectable_change")
            elif metric == "stockpile_area_m2":
                delta = AREA[year] - AREA[BASELINE]
                rows[key] = _change(*key, (delta, delta - 1_770, delta + 1_770, 1_770.0, 2e-9, 9e-9), "increase")
            elif metric == "footprint_area_m2":
                delta = GROUND[year] - GROUND[BASELINE]
                numbers = (delta, delta - 19_800, delta + 19_800, 19_800.0, 0.8, 0.91)
                rows[key] = _change(*key, numbers, "no_detectable_change")
            else:
                rows[key] = _change(*key, (900.0, -1_300.0, 3_100.0, 2_200.0, 0.42, 0.6), "no_detectable_change")
    for row in (
        _change(
            "site",
            "stockpile_area_m2",
            (2016, 2017),
            (850.0, -180.0, 1_880.0, 1_030.0, 0.106, 0.21),
            "no_detectable_change",
        ),
        _change(
            "site",
            "stockpile_area_m2",
            (2016, 2018),
            (2_350.0, 40.0, 4_660.0, 2_310.0, 0.046, 0.1004),
            "no_detectable_change",
            "q 0.1 is above 0.1",
        ),
        _change(
            "site", "stockpile_area_m2", (2020, 2021), (5_300.0, 3_260.0, 7_340.0, 2_040.0, 4e-7, 2e-6), "increase"
        ),
        _change(
            "site",
            "boundary_gain_m2",
            (2016, 2021),
            (1_300.0, -900.0, 3_500.0, 2_200.0, 0.25, 0.4),
            "no_detectable_change",
            "measured 4100 m2; unchanged ground shows 2800 m2 by chance",
        ),
        _change(
            "named:tukchang",
            "footprint_area_m2",
            (2016, 2021),
            (-2_600.0, -4_200.0, -1_000.0, 1_600.0, 0.0014, 0.004),
            "decrease",
        ),
        _change("named:tukchang", "boundary_gain_m2", (2016, 2021), NOTHING, "insufficient_data", NASTY),
    ):
        rows[row.zone_id, row.metric, (row.year_from, row.year_to)] = row
    return list(rows.values())


def _scenes() -> list[SceneRow]:
    rows = []
    for i in range(24):
        when = dt.datetime(2016 + i % 6, 4 + i % 3, 2 + i, 2, 17, tzinfo=dt.UTC)
        used = i % 5 != 4
        rows.append(
            SceneRow(
                None,
                f"S2A_MSIL2A_{when:%Y%m%dT%H%M%S}_N0500_R003_T52SBJ",
                when,
                "sentinel-2a",
                "05.00" if i % 3 else None,
                3,
                used,
                None
                if used
                else ("offset quarantined: pixels and metadata disagree" if i == 4 else "clear over 4 % of the site"),
                0.91 if used else 0.04,
                "corrected" if used else None,
                -2.4 if used else None,
                0.03 if used else None,
                f"{i:02d}" + "ab" * 31 if used else None,
            )
        )
    return rows


def make_tables() -> Tables:
    """Every layer, with what a real run would hold."""
    start, end = (lambda y: dt.date(y, *SPRING)), (lambda y: dt.date(y, *AUTUMN))
    aoi = box(LEFT, TOP - SIZE_M, LEFT + SIZE_M, TOP)
    ground = box(LEFT + 900, TOP - 1_900, LEFT + 1_900, TOP - 700)
    zone = box(LEFT + 1_900, TOP - 2_700, LEFT + 2_700, TOP - 1_900)
    filled: dict[str, list] = {
        "sites": [SiteRow(aoi, "pukchang", NAME, "camp", "aoi", NASTY, "2016", 250.0)],
        "zones": [
            ZoneRow(aoi, "site", "site", NAME, None, 8_991_000.0),
            ZoneRow(zone, "named:tukchang", "named", "덕장 Tukchang", None, 640_000.0),
        ],
        "scenes": _scenes(),
        "stockpiles": [
            StockpileRow(
                _pile(a),
                "P001",
                y,
                start(y),
                end(y),
                a,
                a * 0.93,
                a * 1.07,
                9 + y % 5,
                0.88,
                "probable",
                "site",
                None,
                None,
                "halfway-10m",
                0.97,
                "anthracite",
                0.66,
                1.0,
                a * 1.1,
                a * 0.95,
                "p50010-450010",
            )
            for y, a in AREA.items()
        ],
        "stockpile_changes": [
            StockpileChangeRow(_pile(23_100.0), "P001", 2016, 2021, 13_050.0, 11_280.0, 14_820.0, 1_770.0, "increase"),
        ],
        "footprints": [
            FootprintRow(ground, y, start(y), end(y), "bare_or_built", "site", GROUND[y], None, None) for y in GROUND
        ],
        "boundary_changes": [
            BoundaryChangeRow(ground, 2016, 2021, "certain_gain", "site", 4_100.0, 8.2, None, 21.0, 120.0)
        ],
        "measurements": _measurements(),
        "changes": _changes(),
        "breaks": [],
        "year_scenes": [
            YearSceneRow(metric, s.datetime.year, s.scene_id, s.datetime.date(), s.clear_fraction)
            for metric in ("stockpile_area_m2", "stockpile_count", "footprint_area_m2", "boundary_gain_m2")
            for s in _scenes()
            if s.used
        ],
        "trends": [
            TrendRow(
                "pukchang",
                "site",
                "stockpile_area_m2",
                2016,
                2021,
                5,
                2_600.0,
                1_100.0,
                4_000.0,
                "m2/yr",
                0.017,
                0.034,
                "increase",
                None,
            )
        ],
        "claims": [
            ClaimRow(
                "production-2016",
                "We also found an increase in coal production on satellite photos.",
                "Submission, 9 January 2021",
                "stockpile_area_m2 at the site, 2016 against each later year, above 0",
                "supported",
                "One of one site. Counter-evidence: national output estimates fall after 2016 (to be verified).",
                13_050.0,
                11_280.0,
                14_820.0,
                "Production itself: a stock is not a flow.",
                "stockpile_area_m2",
            ),
            ClaimRow(
                "boundaries",
                NASTY,
                "both submissions",
                "boundary_gain_m2 beyond the reference",
                "not_detectable",
                "The interval holds 0 and the margin.",
                1_300.0,
                -900.0,
                3_500.0,
                "That a fence or guard line moved.",
                "boundary_gain_m2",
            ),
            ClaimRow(
                "adjacent-zones",
                "and the zones adjacent to the camps",
                "Submission",
                "boundary_gain_m2 in named zones",
                "not_observable",
                "No two adequate years in the zone.",
                None,
                None,
                None,
                "Who lives there.",
                "boundary_gain_m2",
            ),
        ],
        "run": [RunRow("grid", "EPSG:32652, 300 x 300 cells"), RunRow("models", "stockpile 1, footprint 1")],
    }
    return {layer: filled.get(layer, []) for layer in LAYERS}


def make_pictures() -> list[Picture]:
    """Paint a grey-brown landscape with the pile in it, for the baseline and the newest year."""
    pictures = []
    rows, columns = np.mgrid[0:300, 0:300]
    for year in (2016, 2021):
        noise = np.random.default_rng(7).normal(0, 6, (300, 300))
        green = ((rows // 37 + columns // 29) % 3 == 0) * 25
        rgb = np.stack([118 - green + noise, 112 + noise, 84 - green / 2 + noise], axis=-1)
        yard = (columns > 90) & (columns < 190) & (rows > 70) & (rows < 190)
        rgb[yard] = rgb[yard] * 0.5 + 85
        inside = np.hypot((columns - 140) * 10.0, (rows - 120) * 10.0) < (AREA[year] / np.pi) ** 0.5
        rgb[inside] = (34, 34, 36)
        transform = Affine(10.0, 0.0, LEFT, 0.0, -10.0, TOP)
        pictures.append(Picture(year, np.clip(rgb, 0, 255).astype(np.uint8), transform, 32652))
    return pictures


def make_facts(*, simulated: bool = True) -> ReportFacts:
    """Say what stands beside the tables."""
    return ReportFacts(
        site_id="pukchang",
        site_name=NAME,
        kind="camp",
        simulated=simulated,
        version="0.1.0",
        code_sha256="0123456789ab",
        settings=("min_dates: 6", "windows.stockpile: 04-01 to 06-15, 09-01 to 10-20"),
        evidence="copy",
        epsg=32652,
        baseline_year=BASELINE,
        reference="baseline_footprint",
        fdr_q=0.10,
        notes=(f"Note of the run: {NASTY}",),
    )


def make_map(tables: Tables, view: View) -> SiteMap:
    """Put the pictures of both years below the outlines of the tables, in both looks."""
    uris = {}
    for picture in make_pictures():
        out = io.BytesIO()
        Image.fromarray(picture.rgb).save(out, "WEBP", quality=40)
        uris[picture.year] = f"data:image/webp;base64,{b64encode(out.getvalue()).decode('ascii')}"
    images = MapImages(make_pictures()[0].bounds, dict.fromkeys(LOOKS, uris))
    return site_map(Results(tables, BASELINE), view.summary, images, simulated=view.simulated)
