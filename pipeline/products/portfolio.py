"""All finished sites of a results folder in one GeoPackage, and ``portfolio.json``, which says what it was made of.

Sites lie in several UTM zones, so outlines are in longitude and latitude; areas and all other numbers are those of the
sites' own files. The sites are read one after the other.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline import __version__
from pipeline.errors import ProductError
from pipeline.evidence import sha256_file
from pipeline.products import styles
from pipeline.products._columns import SIMULATED, Layer
from pipeline.products._documents import (
    GATHERED,
    MANIFEST,
    PORTFOLIO,
    PORTFOLIO_PACKAGE,
    GatheredSite,
    OutputFile,
    Portfolio,
    own_sha256,
    read_document,
    write_document,
)
from pipeline.products._project import ProjectFrame
from pipeline.products._qgis import embed_project, embed_styles
from pipeline.products.atomic import write_error
from pipeline.products.finished import Finished
from pipeline.products.geopackage import NO_COMPOSITES, Target, connect, package_beside, read_rows, write_layer
from pipeline.products.manifest import describe, read_manifest
from pipeline.products.placing import commit, go_on
from pipeline.products.software import code_sha256
from pipeline.products.wording import attribution
from pipeline.records import LAYERS, MeasurementRow, Row
from pipeline.told import SiteId, Told

_LONLAT = 4326
_RESTS_ON = "The results it gathers are named in portfolio.json beside this file, each by the hash of its manifest."
_STATES = (("finished", "Finished"), ("failed_since", "Finished before; the last run failed"))

Pages: TypeAlias = Callable[[Path], Iterable[Path]]


def _no_pages(_: Path) -> Iterable[Path]:
    return ()


@dataclass(frozen=True)
class PortfolioRow:
    """A site whose results are in the file, and the hash of the manifest they rest on."""

    site_id: SiteId
    name: Annotated[str, Told("Name", meaning="Of the site")]
    state: Annotated[str, Told("State", meaning="How the last run of the site ended", values=_STATES)]
    simulated: Annotated[bool, SIMULATED.told]
    epsg: Annotated[int, Told("UTM zone", technical=True, meaning="EPSG code of the CRS the site is measured in")]
    manifest_sha256: Annotated[str, Told("Manifest", technical=True, meaning="SHA-256 of the site's manifest.json")]


@dataclass(frozen=True)
class _Row:
    """A row of a site's file as one of the portfolio: what is not said here is the row's own."""

    row: Row
    site_id: str
    simulated: bool
    geometry: BaseGeometry | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)


def publish_portfolio(out: Path, failed: Collection[str], pages: Pages = _no_pages) -> Path | None:
    """Write what gathers all finished sites of a folder, where it is not there already; last, the hashes of all of it.

    Everything is written beside and then renamed, so that a full disk leaves what was there.

    Parameters
    ----------
    out : Path
        The folder of all sites.
    failed : collection of str
        Sites whose last run failed; one that finished before is gathered, and its state says so.
    pages : callable
        Writes into a folder what else is made of all sites, and returns its files.

    Returns
    -------
    Path or None
        The GeoPackage; None where no site can be gathered: a former one is removed.

    Raises
    ------
    ProductError
        A file could not be written; the former ones are untouched.
    """
    sites = [_gathered(folder, failed) for folder in sorted(out.glob("*/")) if (folder / MANIFEST).is_file()]
    finished = {site.site for site in sites}
    sites += [GatheredSite(site=name, state="failed") for name in sorted(set(failed) - finished)]
    usable = [(site, Finished.at(out / site.site / f"{site.site}.gpkg")) for site in sites if site.manifest_sha256]
    with _stage(out) as stage:
        made = list(pages(stage))
        if usable:
            wanted = Portfolio(
                version=__version__,
                code_sha256=code_sha256(),
                simulated=any(source.simulated for _, source in usable),
                sites=tuple(sorted(sites, key=lambda site: site.site)),
                outputs=(),
            )
            outputs = describe(stage, made)
            current = _current(out, wanted)
            if current is None:
                made.append(stage / PORTFOLIO_PACKAGE)
                _write_package(made[-1], usable, simulated=wanted.simulated)
                current = describe(stage, made[-1:])[0]
            outputs = sorted([*outputs, current], key=lambda output: output.path)
            made.append(stage / PORTFOLIO)
            portfolio = wanted.model_copy(update={"outputs": tuple(outputs)})
            own = own_sha256(portfolio.model_dump(mode="json"))
            write_document(made[-1], portfolio.model_copy(update={"own_sha256": own}))
        commit(stage, out)
        go_on(out)
        for name in () if usable else (PORTFOLIO, PORTFOLIO_PACKAGE):
            (out / name).unlink(missing_ok=True)
    return out / PORTFOLIO_PACKAGE if usable else None


@contextmanager
def _stage(out: Path) -> Iterator[Path]:
    """Give a folder in which the files are finished; removed at the end."""
    stage = out / GATHERED
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir()
        yield stage
    except OSError as error:
        raise write_error(out, error.strerror or error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _gathered(folder: Path, failed: Collection[str]) -> GatheredSite:
    """Say whether a site's results can be gathered: they are whole, as recorded, and of this version's layers."""
    name = folder.name
    try:
        manifest = read_manifest(folder)
        recorded = {output.path: output.sha256 for output in manifest.outputs}
        package = folder / f"{name}.gpkg"
        whole = manifest.site == name and recorded.get(package.name) == sha256_file(package)
        for layer in LAYERS if whole else ():
            next(read_rows(package, layer), None)
        digest = sha256_file(folder / MANIFEST) if whole else None
    except (ProductError, OSError):
        digest = None
    if digest is None:
        return GatheredSite(site=name, state="unusable")
    return GatheredSite(site=name, state="failed_since" if name in failed else "finished", manifest_sha256=digest)


def _current(out: Path, wanted: Portfolio) -> OutputFile | None:
    """Return the GeoPackage that is there as recorded, where it was made of the same and is unchanged."""
    try:
        present = read_document(out / PORTFOLIO, Portfolio)
        digest = sha256_file(out / PORTFOLIO_PACKAGE)
    except (ProductError, OSError):
        return None
    recorded = next((output for output in present.outputs if output.path == PORTFOLIO_PACKAGE), None)
    same = recorded is not None and recorded.sha256 == digest
    return recorded if same and present.model_copy(update={"outputs": (), "own_sha256": None}) == wanted else None


def _write_package(path: Path, sites: Sequence[tuple[GatheredSite, Finished]], *, simulated: bool) -> None:
    """Write the layers of all sites into one file, and how QGIS draws them."""
    mark = styles.prefix(simulated=simulated)
    title = f"{mark}Portfolio of {len(sites)} sites"
    about = [
        PortfolioRow(site.site, source.site_name, site.state, source.simulated, source.epsg, site.manifest_sha256 or "")
        for site, source in sites
    ]
    with package_beside(path) as beside:
        target = Target(path, beside, _LONLAT, title, simulated, _RESTS_ON)
        write_layer(target, Layer.of_record("portfolio", PortfolioRow), about)
        bounds: list[tuple[float, float, float, float]] = []
        years: set[int] = set()
        for name in LAYERS:
            layer = Layer.of(name).gathered()
            for _, source in sites:
                rows = list(_rows(source, name))
                write_layer(target, layer, rows)
                years |= {row.year for row in rows if isinstance(row.row, MeasurementRow)}
                if name == "sites":
                    bounds.append(tuple(shapely.total_bounds([row.geometry for row in rows]).tolist()))
        west, south, east, north = zip(*bounds, strict=True)
        frame = ProjectFrame(
            file_name=path.name,
            title=title,
            epsg=_LONLAT,
            simulated=simulated,
            bounds=(min(west), min(south), max(east), max(north)),
            years=(min(years), max(years)) if years else None,
            composites=NO_COMPOSITES,
            credit=attribution(sorted(years), simulated=simulated),
            gathered=True,
        )
        with closing(connect(beside)) as connection, connection:
            embed_styles(connection, target.note, simulated=simulated, gathered=True)
            embed_project(connection, frame)


def _rows(source: Finished, layer: str) -> Iterator[_Row]:
    spatial = Layer.of(layer).spatial
    for row in source.rows(layer):
        yield _Row(row, source.site_id, source.simulated, source.outline(row) if spatial else None)
