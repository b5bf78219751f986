"""The QGIS project of a site: which layers stand in which group, under which name, and what it opens with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.products import styles
from pipeline.products._relations import RELATIONS, REVIEW, WITH_REVIEW, Relation
from pipeline.products.stretch import Composites
from pipeline.records import LAYERS

_SHEET_MM = (197.0, 166.0)
"""Map of the printed page: its extent has this form, or QGIS takes another."""
_MARGIN = 1.1
_SEGMENTS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000)


@dataclass(frozen=True)
class ProjectFrame:
    """What a project needs beside the styles.

    ``bounds`` is (left, bottom, right, top) in metres and ``years`` (first, last); None when nothing was
    measured. ``file_name`` is that of the GeoPackage, in which the project lies. ``gathered`` is True of all sites
    together: bounds are in degrees, no page is laid out, and rows are related within their own site.
    """

    file_name: str
    title: str
    epsg: int
    simulated: bool
    bounds: tuple[float, float, float, float] | None
    years: tuple[int, int] | None
    composites: Composites
    credit: str
    gathered: bool = False


@dataclass(frozen=True)
class _Shown:
    """How a layer stands in the project: group, name in Latin and in Korean letters, seen at once or not."""

    layer: str
    group: str
    title: str
    korean: str
    visible: bool = False


_RESULTS, _GROUND, _SCENES = "Results 결과", "Ground 지면", "Scenes 위성 영상"
_TABLES, _REVIEW = "Tables 표", "Review 검토"
_COMPOSITES = {
    "true": "Composites, true colour 합성 영상",
    "swir": "Composites, short-wave infrared 단파적외 합성 영상",
}
_LOOK_NAMES = {"true": "true colour", "swir": "short-wave infrared"}
SHOWN = (
    _Shown("stockpile_changes", _RESULTS, "Stockpile changes", "석탄 더미 변화"),
    _Shown("stockpiles", _RESULTS, "Stockpiles", "석탄 더미", visible=True),
    _Shown("stockpile_observations", _RESULTS, "Stockpile outlines by date", "날짜별 석탄 더미 윤곽"),
    _Shown("boundary_changes", _GROUND, "Ground changes", "점유지 변화"),
    _Shown("footprints", _GROUND, "Occupied ground", "점유지", visible=True),
    _Shown("zones", _GROUND, "Zones", "구역", visible=True),
    _Shown("sites", _GROUND, "Site as given", "대상지", visible=True),
    _Shown("reviews", _REVIEW, "Decisions", "검토 결정"),
    _Shown("analyst_outlines", _REVIEW, "Outlines by reviewers", "검토자 윤곽"),
    _Shown("agreement", _REVIEW, "Agreement of reviewers", "검토자 일치도"),
    _Shown("scenes", _SCENES, "Scenes", "위성 영상"),
    _Shown("year_scenes", _SCENES, "Scenes of each year", "연도별 위성 영상"),
    _Shown("measurements", _TABLES, "Measurements", "측정값"),
    _Shown("changes", _TABLES, "Changes", "변화"),
    _Shown("trends", _TABLES, "Trends", "추세"),
    _Shown("breaks", _TABLES, "Before and after resolutions", "결의 전후"),
    _Shown("claims", _TABLES, "Claims", "주장"),
    _Shown("drift", _TABLES, "Drift of the years", "연도별 편차"),
    _Shown("platforms", _TABLES, "Drift of the satellites", "위성별 편차"),
    _Shown("run", _TABLES, "This result", "실행 정보"),
)
"""All layers, topmost first."""
_LEGEND = ("stockpiles", "footprints", "zones", "sites")


@dataclass(frozen=True)
class _Layer:
    """A layer as the project's template needs it."""

    id: str
    title: str
    source: str
    kind: str
    provider: str
    spatial: bool
    visible: bool
    open: bool
    look: str
    read_only: bool = True


@dataclass(frozen=True)
class _Group:
    name: str
    layers: tuple[_Layer, ...]
    open: bool


def layer_id(name: str) -> str:
    """Return the id of a layer in the project; QGIS silently replaces one shorter than ten characters."""
    return f"{name}_layer_0001"


def project(frame: ProjectFrame) -> str:
    """Return the document (.qgs) of a project that shows a site year by year."""
    start = styles.prefix(simulated=frame.simulated)
    # A name is never an expression.
    title = (start + frame.title.removeprefix(start)).replace("[%", "[ %")
    relations = WITH_REVIEW
    if frame.gathered:
        relations = tuple(replace(of, columns=(*of.columns, ("site_id", "site_id"))) for of in RELATIONS)
    vectors = list(_vector_groups(frame, start, relations))
    if not frame.gathered:
        place = [group.name for group in vectors].index(start + _REVIEW)
        vectors[place] = replace(vectors[place], layers=(_review(start), *vectors[place].layers))
    groups = [*vectors, *_raster_groups(frame, start)]
    layers = {layer.id: layer for group in groups for layer in group.layers}
    sheet = _sheet(frame.bounds) if frame.bounds and not frame.gathered else None
    return styles.fill(
        "project",
        version=styles.VERSION,
        frame=frame,
        title=title,
        groups=groups,
        layers=layers.values(),
        relations=relations,
        layer_id=layer_id,
        newest=frame.years[1] if frame.years else None,
        sheet=sheet,
        segment=_segment(sheet) if sheet else None,
        legend=[layers[layer_id(name)] for name in _LEGEND],
    )


def _vector_groups(frame: ProjectFrame, start: str, relations: Sequence[Relation]) -> Iterator[_Group]:
    """Give the groups of layers of the GeoPackage."""
    for name in dict.fromkeys(shown.group for shown in SHOWN):
        layers = tuple(
            _Layer(
                id=layer_id(shown.layer),
                title=f"{start}{shown.title} {shown.korean}",
                source=f"./{frame.file_name}|layername={shown.layer}",
                kind="vector",
                provider="ogr",
                spatial="geometry" in LAYERS[shown.layer].__dataclass_fields__,
                visible=shown.visible,
                open=shown.visible,
                look=styles.look(shown.layer, relations, simulated=frame.simulated, gathered=frame.gathered),
            )
            for shown in SHOWN
            if shown.group == name
        )
        yield _Group(start + name, layers, open=name in (_RESULTS, _GROUND))


def _review(start: str) -> _Layer:
    """Return the layer reviewers work in; a run makes its file before anybody opens the project."""
    return _Layer(
        id=layer_id(REVIEW),
        title=f"{start}Review: accept, reject, draw 검토",
        source="./review.gpkg|layername=review",
        kind="vector",
        provider="ogr",
        spatial=True,
        visible=False,
        open=False,
        look=styles.review_look(),
        read_only=False,
    )


def _raster_groups(frame: ProjectFrame, start: str) -> Iterator[_Group]:
    """Give a group for each look of the composites, the newest year on top."""
    for look, name in _COMPOSITES.items():
        layers = tuple(
            _Layer(
                id=layer_id(f"composite_{look}_{year}"),
                title=f"{start}{year} {_LOOK_NAMES[look]}",
                source=f"./composites/{year}.tif",
                kind="raster",
                provider="gdal",
                spatial=True,
                visible=look == "true",
                open=False,
                look=styles.composite_look(year, frame.composites.looks[look]),
            )
            for year in sorted(frame.composites.years, reverse=True)
        )
        if layers:
            yield _Group(start + name, layers, open=False)


def _sheet(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return the smallest extent of the page's form around bounds, with a margin."""
    left, bottom, right, top = bounds
    per_mm = max((right - left) / _SHEET_MM[0], (top - bottom) / _SHEET_MM[1]) * _MARGIN
    half = [per_mm * length / 2 for length in _SHEET_MM]
    middle = (left + right) / 2, (bottom + top) / 2
    return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]


def _segment(sheet: tuple[float, float, float, float]) -> int:
    """Return the length in metres of each of the two parts of a scale bar about a fifth as long as the map."""
    return max((length for length in _SEGMENTS if 2 * length <= (sheet[2] - sheet[0]) / 4), default=_SEGMENTS[0])
