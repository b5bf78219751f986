"""What an archive says of itself: its title, what was found at each site, whose data it is made of."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.export.contents import SitePart
from pipeline.presets import SENTINEL_TERMS
from pipeline.products.claim_words import in_names, named
from pipeline.products.geopackage import read_tables
from pipeline.products.results import Results
from pipeline.products.spelling import legible
from pipeline.products.statements import statements
from pipeline.products.wording import VERDICTS, attribution, listed
from pipeline.records import ClaimRow, RunRow, SceneRow

LICENCE = "LICENCE.md"
_TILE = re.compile(r"_T(\d{2}[A-Z]{3})(?=_|$)")
_TABLES = ("zones", "measurements", "changes", "claims", "scenes", "reviews", "agreement", "year_scenes", "run")


@dataclass(frozen=True)
class ClaimFound:
    """A claim in its own words, what was tested, and what came of it."""

    quote: str
    source: str
    test: str
    verdict: str
    reason: str
    not_observable: str


@dataclass(frozen=True)
class SiteFacts:
    """What is said of one site.

    Attributes
    ----------
    site, name : str
        Id, and name as readers are shown it.
    simulated : bool
    findings : tuple of str
        The sentences the report says first.
    claims : tuple of ClaimFound
    credit : str
        Of the data, by years of the scenes used; or that they are simulated.
    n_scenes, n_used : int
        Considered, and used.
    terms : tuple of str
        Licences and addresses of terms, as the records of the pixels name them.
    tiles : tuple of str
        Named in the ids of all scenes, also of those that were refused.
    """

    site: str
    name: str
    simulated: bool
    findings: tuple[str, ...]
    claims: tuple[ClaimFound, ...]
    credit: str
    n_scenes: int
    n_used: int
    terms: tuple[str, ...]
    tiles: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What an archive says of itself; ``day`` is that of the newest run in it."""

    title: str
    description: str
    simulated: bool
    day: str
    software_version: str
    sites: tuple[SiteFacts, ...]

    @property
    def licence_file(self) -> str:
        """Name of the file on licences."""
        return LICENCE


def facts_of(parts: Sequence[SitePart]) -> Facts:
    """Read what an archive says from the GeoPackages in it; :class:`ProductError` where one cannot be read."""
    sites = tuple(_site(part) for part in parts)
    simulated = any(site.simulated for site in sites)
    mark = "SIMULATED: " if simulated else ""
    names = listed([site.name.removeprefix("SIMULATED ") for site in sites])
    title = f"{mark}Coal stockpiles and occupied ground at {names}"
    credit = " ".join(dict.fromkeys(site.credit for site in sites))
    return Facts(
        title=title,
        description=f"{title}: year-over-year change measured from Sentinel-2 imagery, with the pixels, the method and "
        f"the hashes to check it. {credit}",
        simulated=simulated,
        day=max(part.run.finished for part in parts)[:10],
        software_version=listed(sorted({_program(part) for part in parts})),
        sites=sites,
    )


def _program(part: SitePart) -> str:
    release = part.run.code
    commit = ""
    if release is not None and release.commit is not None:
        commit = f"commit {release.commit}{' with changes' if release.dirty else ''}, "
    return f"{part.manifest.version} ({commit}source SHA-256 {part.manifest.code_sha256[:12]})"


def _site(part: SitePart) -> SiteFacts:
    tables = read_tables(part.finished.path, _TABLES)
    run = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
    results = Results(tables, int(run["baseline_year"]) if run["baseline_year"] else None)
    scenes = results.rows("scenes", SceneRow)
    years = sorted({scene.datetime.year for scene in scenes if scene.used})
    return SiteFacts(
        site=part.site,
        name=part.finished.marked(part.finished.site_name),
        simulated=part.finished.simulated,
        findings=tuple(found.text for found in statements(results, float(run["fdr_q"]))),
        claims=tuple(_claim(row, results) for row in results.rows("claims", ClaimRow)),
        credit=attribution(years, simulated=part.finished.simulated),
        n_scenes=len(scenes),
        n_used=sum(scene.used for scene in scenes),
        terms=tuple(_terms(part)),
        tiles=tiles_of([*(scene.scene_id for scene in scenes), *(scene.scene_id for scene in part.manifest.refused)]),
    )


def tiles_of(scene_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the tiles scene ids name, as ``52SEH``, sorted."""
    return tuple(sorted({tile for name in scene_ids for tile in _TILE.findall(name)}))


def _claim(row: ClaimRow, results: Results) -> ClaimFound:
    reason = named(legible(row.reason), results)
    return ClaimFound(
        row.quote, row.source, in_names(row.test, results), VERDICTS[row.verdict], reason, row.not_observable
    )


def _terms(part: SitePart) -> Iterable[str]:
    """Give licences the records name; of a local archive, whose files came without a record, those of Sentinel data."""
    stated = {str(kept.record["licence"]) for kept in part.kept if kept.record and kept.record.get("licence")}
    unstated = not part.finished.simulated and any(not (k.record and k.record.get("licence")) for k in part.kept)
    return sorted(stated | ({SENTINEL_TERMS} if unstated else set()))
