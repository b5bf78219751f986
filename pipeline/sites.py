"""Reads and checks the site files ``aoi/<id>.geojson`` and the claims under test in ``claims.yaml``.

What is wrong is refused here, before any work, with one line that names the file, the feature or claim,
the value and the remedy.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from pipeline.config import LimitsConfig, bounded_bytes
from pipeline.documents import MOST_YAML, parsed, parsed_yaml
from pipeline.drawn import Drawn, nearest, read_drawn
from pipeline.errors import InputError
from pipeline.grid import geodesic_area_m2
from pipeline.printable import plain, shown
from pipeline.types import Claim, CoalRank, Feature, Site, SiteKind
from pipeline.zones import slug

_LONLAT = 4326
_MOST_BYTES = 16 << 20
"""Of a site file; the largest of the project has 0.02 million."""
_LONLAT_NAME = re.compile(r"(^|[:/])(CRS84|EPSG:+(\d[\d.]*:)?4326)$", re.IGNORECASE)
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_ZONE = re.compile(
    r"site|inside|outside|control|adjacent(_[\d.]+_[\d.]+km)?|named|(named|control):[a-z0-9]+(-[a-z0-9]+)*"
)
"""Zone ids the pipeline gives, and roles that stand for every zone of the role."""

_ClaimEntry: type[BaseModel] = create_model(
    "_ClaimEntry",
    __config__=ConfigDict(extra="forbid"),
    **{f.name: (f.type, ... if f.default is MISSING else f.default) for f in fields(Claim)},  # type: ignore[call-overload]
)
"""The record Claim as keys and types of YAML, so that its fields are written once."""


def read_sites(folder: Path, limits: LimitsConfig, wanted: Sequence[str] = ()) -> tuple[Site, ...]:
    """Read the site files of a folder.

    Parameters
    ----------
    folder : Path
        Holds one ``<id>.geojson`` per site.
    limits : LimitsConfig
        Largest area of an AOI.
    wanted : sequence of str
        Ids to read; empty reads all. Files not wanted are not opened.

    Returns
    -------
    tuple of Site
        Sorted by id, each once.

    Raises
    ------
    InputError
        The folder holds no site file, a wanted id has none, or a file is refused.
    """
    paths = {path.stem: path for path in folder.glob("*.geojson")}
    if not paths:
        raise InputError(f"{folder}: holds no site file <id>.geojson; set `sites` to the folder of the site files")
    for site_id in wanted:
        if site_id not in paths:
            raise InputError(f"site {site_id!r} is not in {folder}; {nearest(site_id, sorted(paths))}")
    return tuple(read_site(paths[site_id], limits) for site_id in sorted(set(wanted) or paths))


def read_site(path: Path, limits: LimitsConfig) -> Site:
    """Read and check one site file.

    Parameters
    ----------
    path : Path
        A GeoJSON FeatureCollection in longitude and latitude with one feature of role ``aoi``.
    limits : LimitsConfig
        ``max_aoi_km2`` is compared with the geodesic area (WGS84) of the AOI.

    Returns
    -------
    Site
        Geometries two-dimensional, in EPSG:4326; features in file order; ``sha256`` of the file's bytes.

    Raises
    ------
    InputError
        Anything the file holds that is not as the contract has it.
    """
    content = _read_bytes(path)
    documents = _documents(path, content)
    drawn = [read_drawn(f"{path}: feature {number}", document) for number, document in enumerate(documents, start=1)]
    aois = [feature for feature in drawn if feature.role == "aoi"]
    if len(aois) != 1:
        raise InputError(f"{path}: {len(aois)} features have role aoi; give exactly one feature role: aoi")
    aoi = aois[0]
    others = [feature for feature in drawn if feature.role != "aoi"]
    _check_identity(path, aoi)
    _check_area(aoi, limits.max_aoi_km2)
    _check_places(aoi, others)
    return Site(
        id=aoi.needed("id"),
        name=aoi.needed("name"),
        kind=aoi.needed("kind"),  # type: ignore[arg-type]  # _check_identity has checked both
        coal_rank=aoi.needed("coal_rank"),  # type: ignore[arg-type]
        aoi=aoi.geometry,
        status=aoi.text("status"),
        source=aoi.text("source"),
        source_date=aoi.text("source_date"),
        uncertainty_m=aoi.metres("uncertainty_m"),
        note=aoi.text("note"),
        features=tuple(_feature(feature) for feature in others),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Read the claims under test, in file order.

    Parameters
    ----------
    path : Path
        YAML with one key ``claims``: a list of entries whose keys are the fields of :class:`Claim`.

    Raises
    ------
    InputError
        The file is missing or not YAML, an entry lacks a key or has one that is not known, a value has
        the wrong type, two entries share an id, or a claim of an increase has no margin.
    """
    try:
        document = parsed_yaml(_read_bytes(path, MOST_YAML).decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid YAML: {plain(str(error))}") from error
    if not isinstance(document, dict) or list(document) != ["claims"] or not isinstance(document["claims"], list):
        raise InputError(
            f"{path}: must hold one key `claims` with a list of claims; see aoi/claims.yaml of the project"
        )
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(document["claims"], start=1):
        claim = _claim(f"{path}: claim {number}", entry)
        if claim.id in claims:
            raise InputError(f"{path}: claim {number}: id {claim.id!r} is used twice; give each claim its own id")
        claims[claim.id] = claim
    return tuple(claims.values())


def _read_bytes(path: Path, most: int = _MOST_BYTES) -> bytes:
    return bounded_bytes(path, "check the path, its permissions and what it holds", most)


def _documents(path: Path, content: bytes) -> list[Any]:
    """Features of the collection, not yet checked."""
    try:
        document = parsed(content.decode("utf-8-sig"), strict=True)
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({shown(str(error))}); save it as GeoJSON") from error
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    if kind != "FeatureCollection" or not isinstance(document.get("features"), list):
        raise InputError(f"{path}: type is {kind!r}; save the layer as a GeoJSON FeatureCollection")
    crs = document.get("crs")
    named = crs.get("properties") if isinstance(crs, dict) else None
    name = named.get("name") if isinstance(named, dict) else crs
    if crs is not None and not _LONLAT_NAME.search(str(name)):
        raise InputError(f"{path}: crs is {name!r}; export the layer in EPSG:4326 (longitude, latitude)")
    return list(document["features"])


def _check_identity(path: Path, aoi: Drawn) -> None:
    """Refuse an id that is not the file's name, and a kind or rank outside the contract."""
    site_id = aoi.needed("id")
    if not _ID.fullmatch(site_id):
        raise InputError(f"{aoi.where}: id is {site_id!r}; use lower-case letters, digits and hyphens")
    if site_id != path.stem:
        raise InputError(f"{aoi.where}: id is {site_id!r} in a file named {path.stem!r}; rename one of them")
    for key, allowed in (("kind", get_args(SiteKind)), ("coal_rank", get_args(CoalRank))):
        value = aoi.needed(key)
        if value not in allowed:
            raise InputError(f"{aoi.where}: {key} is {value!r}; it must be one of {', '.join(allowed)}")


def _check_area(aoi: Drawn, max_aoi_km2: float) -> None:
    area_km2 = geodesic_area_m2(aoi.geometry, _LONLAT) / 1e6
    if area_km2 > max_aoi_km2:
        limit = f"limits.max_aoi_km2 = {max_aoi_km2:g}"
        raise InputError(
            f"{aoi.where}: area is {area_km2:.0f} km2, more than {limit}; draw it smaller or raise the limit"
        )


def _check_places(aoi: Drawn, others: Sequence[Drawn]) -> None:
    """Refuse features beside the AOI, and two zones or two controls whose names give one zone id."""
    seen: set[tuple[str, str]] = set()
    for feature in others:
        if not aoi.geometry.intersects(feature.geometry) or aoi.geometry.touches(feature.geometry):
            raise InputError(f"{feature.where}: does not overlap the aoi; move it or enlarge the aoi")
        if feature.role in ("zone", "control"):
            name = feature.needed("name")
            if (feature.role, slug(name)) in seen:
                raise InputError(f"{feature.where}: name {name!r} is used twice; give each {feature.role} its own name")
            seen.add((feature.role, slug(name)))


def _feature(drawn: Drawn) -> Feature:
    valid_from, valid_to = drawn.day("valid_from"), drawn.day("valid_to")
    if valid_from and valid_to and valid_to < valid_from:
        raise InputError(f"{drawn.where}: valid_to {valid_to} is before valid_from {valid_from}; exchange them")
    return Feature(
        role=drawn.role,  # type: ignore[arg-type]  # read_drawn has checked it
        name=drawn.text("name") or drawn.role,
        geometry=drawn.geometry,
        source=drawn.text("source"),
        source_date=drawn.text("source_date"),
        uncertainty_m=drawn.metres("uncertainty_m"),
        valid_from=valid_from,
        valid_to=valid_to,
    )


def _claim(where: str, entry: object) -> Claim:
    """One entry as a record, or one line on the first thing wrong with it."""
    if not isinstance(entry, dict):
        raise InputError(f"{where}: is {type(entry).__name__}, not keys and values; see aoi/claims.yaml of the project")
    if isinstance(entry.get("id"), str):
        where = f"{where} ({entry['id']})"
    try:
        values = _ClaimEntry.model_validate(entry)
    except ValidationError as error:
        raise InputError(f"{where}: {_first_problem(error)}") from error
    try:
        claim = Claim(**{field.name: getattr(values, field.name) for field in fields(Claim)})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    _check_claim(where, claim)
    return claim


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # A misspelt key is unknown and missed at once: the word that stands in the file is the one to name.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {nearest(key, sorted(_ClaimEntry.model_fields))}"
    if problem["type"] == "missing":
        return f"key {key} is missing; a claim needs every key of the first one in aoi/claims.yaml of the project"
    return f"{key} = {problem['input']!r}: {problem['msg']}"


def _check_claim(where: str, claim: Claim) -> None:
    """Refuse what would make a verdict empty: no site, an impossible zone, no margin, a baseline after the test."""
    if not _ID.fullmatch(claim.id):
        raise InputError(f"{where}: id is {claim.id!r}; use lower-case letters, digits and hyphens")
    if not claim.sites or not claim.zones:
        raise InputError(f"{where}: sites or zones are empty; name at least one of each")
    for zone in claim.zones:
        if not _ZONE.fullmatch(zone):
            raise InputError(
                f"{where}: zone {zone!r} is no zone id; e.g. site, adjacent_0_1km, named:tukchang or control"
            )
    if claim.baseline > claim.test_years[0]:
        raise InputError(
            f"{where}: baseline {claim.baseline} is after the first test year {claim.test_years[0]}; set it earlier"
        )
    for key, margin in (("margin_fraction", claim.margin_fraction), ("margin_m2", claim.margin_m2)):
        if margin is not None and not 0 < margin < float("inf"):
            raise InputError(f"{where}: {key} is {margin!r}; give a number above 0 or null")
    margins = sum(margin is not None for margin in (claim.margin_fraction, claim.margin_m2))
    if claim.direction == "increase" and margins != 1:
        raise InputError(
            f"{where}: {margins} margins are set; an increase needs margin_fraction or margin_m2, one of them"
        )
