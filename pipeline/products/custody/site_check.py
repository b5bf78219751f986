"""One site's folder: every file in it held against manifest and records, and what is not named by them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.printable import plain
from pipeline.products._documents import (
    CLAIMS_COPY,
    DATABASE_SIDES,
    EVIDENCE,
    MANIFEST,
    PLACING,
    REBUILT,
    REDACTION,
    REVIEW,
    REVIEWS_COPY,
    SITE_COPY,
    Manifest,
    read_document,
    stays_inside,
)
from pipeline.products.custody.evidence_check import ARCHIVE, Place, check_evidence
from pipeline.products.custody.problems import Hasher, Problem, compared, extra, files_below, outside_of
from pipeline.products.custody.proofs import Trust, Vouched, check_proofs
from pipeline.products.custody.run_chain import Chain, read_chain
from pipeline.review.decisions import from_lines

_LOCK = ".lock"
_UNDER_WAY = (REBUILT, PLACING)
"""Folders of a site in which work is under way; locks and other working folders lie in the folder of all sites."""
_WITH_COPIES = 2
"""Format of manifests beside which copies of inputs lie."""


@dataclass(frozen=True)
class Checked:
    """What was found of a site: its runs, its manifest (None: neither it nor a copy can be read), and the problems.

    ``vouched`` is what vouches for its newest run, None where no record of a run can be read.
    """

    folder: Path
    chain: Chain
    manifest: Manifest | None
    problems: tuple[Problem, ...]
    vouched: Vouched | None

    @property
    def site(self) -> str:
        """Id of the site, by its manifest; the name of the folder where no manifest can be read."""
        return self.folder.name if self.manifest is None else plain(self.manifest.site)

    @property
    def named(self) -> str:
        """The site in words, with the folder where that has another name."""
        return self.site if self.site == self.folder.name else f"{self.site} in folder {self.folder.name}"


def check_site(folder: Path, hasher: Hasher, held: set[Path], trust: Trust) -> Checked:
    """Check a site's folder and its evidence; paths of problems are absolute.

    Parameters
    ----------
    folder : Path
    hasher : Hasher
    held : set of Path
        Takes the files of evidence that were held to a manifest.
    trust : Trust
        Whom the reader trusts.
    """
    chain = read_chain(folder, hasher)
    wrong, vouched = check_proofs(folder, chain, trust, hasher)
    problems = [*_placing(folder), *chain.problems, *wrong]
    manifest, wrong = _manifest(folder, chain, hasher)
    problems += wrong
    if manifest is not None:
        problems += _outputs(folder, manifest, hasher)
        problems += _package(folder, manifest)
        problems += _copies(folder, manifest, hasher)
        problems += check_evidence(manifest, Place(folder, chain.links, hasher, held))
        problems += _extras(folder, chain, manifest)
    return Checked(folder, chain, manifest, tuple(problems), vouched)


def _placing(folder: Path) -> Iterator[Problem]:
    """Tell a reader that files of two runs lie side by side, since a process was killed while it put them in place."""
    if (folder / PLACING).is_dir():
        detail = "finished files were being put in place when a run was killed; the next run of the site goes on"
        yield Problem(str(folder / PLACING), "incomplete", detail)


def _manifest(folder: Path, chain: Chain, hasher: Hasher) -> tuple[Manifest | None, list[Problem]]:
    """Return the manifest of the newest run: the one that is there, or where it was changed the one the run kept."""
    path, newest = folder / MANIFEST, chain.newest
    if path.is_symlink() or not path.is_file():
        problems = list(compared(path, "", None, hasher, "")) or [Problem(str(path), "missing", "is missing")]
    elif newest is not None and hasher(path) != newest.run.manifest_sha256:
        problems = [Problem(str(path), "differs", f"differs from the hash in {newest.name}")]
    else:
        problems = []
    if problems and newest is not None and newest.manifest is not None:
        return newest.manifest, problems
    try:
        return read_document(path, Manifest), problems
    except ProductError as error:
        said = str(error).removeprefix(f"{path}: ").split("; ", maxsplit=1)[0]
        return None, problems or [Problem(str(path), "differs", f"is not a manifest: {said}")]


def _outputs(folder: Path, manifest: Manifest, hasher: Hasher) -> Iterator[Problem]:
    for output in manifest.outputs:
        path = folder / output.path
        if not stays_inside(output.path) or not path.parent.resolve().is_relative_to(folder.resolve()):
            yield outside_of(str(folder / MANIFEST), output.path, "the site's folder")
        else:
            yield from compared(path, output.sha256, output.size_bytes, hasher, "the manifest")


def _package(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Hold the name of the GeoPackage to the site the manifest is of."""
    wanted = f"{manifest.site}.gpkg"
    packages = {output.path for output in manifest.outputs if "/" not in output.path and output.path.endswith(".gpkg")}
    for name in sorted(packages - {wanted}):
        detail = f"is not of site {plain(manifest.site)}, which the manifest is of"
        yield Problem(str(folder / plain(name)), "differs", detail)
    if wanted not in packages:
        yield Problem(str(folder / MANIFEST), "differs", f"names no {plain(wanted)}")


def _copies(folder: Path, manifest: Manifest, hasher: Hasher) -> Iterator[Problem]:
    """Hold the copies of inputs to what the manifest says the result was made from."""
    wanted = {
        SITE_COPY: manifest.site_sha256,
        CLAIMS_COPY: manifest.claims_sha256,
        REVIEWS_COPY: manifest.reviews_sha256,
    }
    named = {output.path: output.sha256 for output in manifest.outputs}
    for name, digest in wanted.items() if manifest.format >= _WITH_COPIES else ():
        left_out = name not in named and REDACTION in named
        if named.get(name) != digest and not left_out:
            detail = f"names another hash for {name} than for the input it is a copy of"
            yield Problem(str(folder / MANIFEST), "differs", detail)
    ledger = folder / REVIEWS_COPY
    if manifest.reviews_sha256 is not None and hasher(ledger) == manifest.reviews_sha256:
        try:
            from_lines(ledger.read_text(encoding="utf-8").split("\n")[:-1], manifest.site)
        except ValueError as error:
            yield Problem(str(ledger), "differs", f"its own chain is broken: {error}")


def _extras(folder: Path, chain: Chain, manifest: Manifest) -> Iterator[Problem]:
    """Name what no record tells of. Evidence is searched on its own; folders of work under way are none."""
    named = {output.path for output in manifest.outputs}
    known = {MANIFEST, REVIEW, *(REVIEW + side for side in DATABASE_SIDES), *named, *chain.known}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        first = name.split("/", 1)[0]
        if first in _UNDER_WAY or (first in {EVIDENCE, ARCHIVE} and first != name) or _under_way(name, known):
            continue
        if name == _LOCK and not path.is_symlink() and path.is_file() and not path.stat().st_size:
            continue
        if name not in known:
            yield extra(path, "is in no manifest and no record")
        elif path.is_symlink() and name not in named:
            yield extra(path, "")


def _under_way(name: str, known: set[str]) -> bool:
    """Whether a file lies in the hidden folder in which a file of the result was being written."""
    *parents, last, _ = ("", *name.split("/"))
    if not (last.startswith(".") and last.endswith(".part")):
        return False
    return "/".join([*parents[1:], last[1 : -len(".part")]]) in known
