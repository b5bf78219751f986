"""Re-check every hash of a finished result, offline, and name each file that differs, lacks or is too much.

Nothing but the folder is needed, with the evidence in it or where the run kept it. Under each file stands which numbers
rest on it, by the manifest and the numbers the newest run left: not by the file that differs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, ProductError
from pipeline.products._documents import (
    DATABASE_SIDES,
    EVIDENCE,
    HIDDEN,
    INDEX,
    LOGS,
    MANIFEST,
    PLACING,
    PORTFOLIO,
    PORTFOLIO_PACKAGE,
    RUN,
    RUNS,
    WORKING,
    Portfolio,
    json_text,
    stays_inside,
)
from pipeline.products.custody.evidence_check import check_store
from pipeline.products.custody.export_check import check_exported, exported
from pipeline.products.custody.problems import Hasher, Problem, compared, extra, files_below, make_hasher, outside_of
from pipeline.products.custody.proofs import Trust, Vouched, lapsed, outside
from pipeline.products.custody.run_chain import kept_numbers, read_own
from pipeline.products.custody.site_check import Checked, check_site
from pipeline.products.dependence import Dependence
from pipeline.products.numbers import read_numbers

_ASIDE = "state.sqlite.aside-"
_SHOWN = 3
"""Addresses named under a file of the many that may rest on it."""


@dataclass(frozen=True)
class Verification:
    """What became of a check: problems by site, and what vouches for each site from outside.

    ``site`` is the id of the one site of a folder whose name is another.
    """

    folder: Path
    problems: tuple[Problem, ...]
    vouched: Mapping[str, Vouched | None]
    site: str = ""

    @property
    def lines(self) -> list[str]:
        """What to tell a user: each file, which numbers rest on it, and the outcome."""
        lines = []
        for problem in self.problems:
            lines.append(str(problem))
            if problem.rests:
                lines.append(f"  {problem.rests}{_some(problem.numbers)}")
        outcome = f"{len(self.problems)} problems" if self.problems else "every hash agrees"
        name = f"{self.folder} (site {self.site})" if self.site else str(self.folder)
        return [*lines, *outside(self.vouched), f"{name}: {outcome}{lapsed(self.vouched)}"]

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        problems = [
            {"path": p.path, "kind": p.kind, "detail": p.detail, "rests": p.rests, "numbers": list(p.numbers)}
            for p in self.problems
        ]
        vouched = {site: None if v is None else v.document for site, v in self.vouched.items()}
        return {"format": 1, "ok": not self.problems, "vouched": vouched, "problems": problems}

    @property
    def json_lines(self) -> list[str]:
        """Lines of :attr:`document`."""
        return json_text(self.document).splitlines()


def _some(numbers: Sequence[str]) -> str:
    if not numbers:
        return ""
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f" ({', '.join(numbers[:_SHOWN])}{more})"


def verify(folder: Path) -> list[Problem]:
    """Return the problems of :func:`examine`, without the numbers that rest on each file."""
    return list(_found(folder, Trust())[0])


def examine(folder: Path, trust: Trust | None = None) -> Verification:
    """Re-hash all files of a site's result, or of all sites of a folder, and check the chain of runs.

    Copied evidence is looked for in ``evidence/`` of the site's folder, then beside it, then where the run
    kept it; referenced files in ``archive/`` likewise (an export), then where the run found its archive.

    Parameters
    ----------
    folder : Path
        A site's folder, or the folder of all sites.
    trust : Trust, optional
        Whom the reader trusts; nobody unless given.

    Returns
    -------
    Verification
        Without problems when every file is as recorded, and there is no other.

    Raises
    ------
    InputError
        There is no result in the folder.
    """
    problems, sites = _found(folder, trust or Trust())
    dependences = [(site.folder, _dependence(site)) for site in sites] if problems else []
    told = tuple(_told(problem, folder, dependences) for problem in problems)
    return Verification(folder, told, {site.named: site.vouched for site in sites}, _renamed(folder, sites))


def _renamed(folder: Path, sites: Sequence[Checked]) -> str:
    """Return the id of the one site a folder of another name is of; empty where the name says it."""
    [site, *others] = sites
    return site.site if not others and site.folder == folder.absolute() and site.site != site.folder.name else ""


def _found(folder: Path, trust: Trust) -> tuple[list[Problem], list[Checked]]:
    """Return all problems, paths as they are told, each once, and what was found of each site."""
    here = folder.absolute()
    names = _sites(folder)
    if not names:
        raise InputError(f"{folder}: holds no result; name a site's folder or the folder of all sites")
    # Sites share the files of an archive; each is read once.
    hasher, held = make_hasher(), set[Path]()
    sites = [check_site(here / name, hasher, held, trust) for name in names]
    problems = [problem for site in sites for problem in site.problems]
    problems += [] if names == [""] else [*_misplaced(sites), *_check_all(here, sites, hasher, held)]
    once: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        path = Path(problem.path)
        told = path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
        # A file that differs from two hashes is one file; what a manifest names wrongly is told each time.
        key = told, problem.detail if problem.kind in {"unsafe", "incomplete"} else ""
        once.setdefault(key, replace(problem, path=told))
    return list(once.values()), sites


def _misplaced(sites: Sequence[Checked]) -> Iterator[Problem]:
    """Name folders that bear another name than that of the site their manifest is of."""
    for site in sites:
        if site.site != site.folder.name:
            detail = f"is of site {site.site}, not {site.folder.name}: the folder bears the name of another"
            yield Problem(str(site.folder / MANIFEST), "differs", detail)


def _sites(folder: Path) -> list[str]:
    """Return the names of the sites of a folder; an empty name where the folder is a site's."""
    if _is_result(folder):
        return [""]
    if not folder.is_dir():
        return []
    children = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path.name for path in children if not path.is_symlink() and _is_result(path))


def _is_result(folder: Path) -> bool:
    """Whether a folder is a site's: also when its manifest, or everything but its products, was removed."""
    packages = (path.name for path in folder.glob("*.gpkg"))
    return any((folder / name).exists() for name in (MANIFEST, RUN, RUNS)) or any(
        name != PORTFOLIO_PACKAGE for name in packages
    )


def _check_all(folder: Path, sites: Sequence[Checked], hasher: Hasher, held: set[Path]) -> Iterator[Problem]:
    """Check what belongs to no single site: what gathers them, their common evidence, and all other files."""
    if (folder / PLACING).is_dir():
        detail = "finished files were being put in place when a batch was killed; the next batch goes on"
        yield Problem(str(folder / PLACING), "incomplete", detail)
    known = {PORTFOLIO, *WORKING, *(name + side for name in WORKING for side in DATABASE_SIDES)}
    portfolio = folder / PORTFOLIO
    if portfolio.is_file() and not portfolio.is_symlink():
        gathered, wrong = _portfolio(portfolio)
        yield from [] if wrong is None else [Problem(str(portfolio), "differs", wrong)]
        known |= {output.path for output in gathered.outputs} if gathered else {INDEX, PORTFOLIO_PACKAGE}
        yield from _gathered(folder, gathered, sites, hasher) if gathered else ()
    else:
        there = [name for name in (PORTFOLIO_PACKAGE, INDEX) if (folder / name).exists()]
        known |= set(there)
        if there:
            detail = f"is missing; {' and '.join(there)} cannot be checked; stockline report writes it anew"
            yield Problem(str(portfolio), "missing", detail)
    store = folder / EVIDENCE
    if store.is_dir() and not store.is_symlink():
        recorded = {name for site in sites for link in site.chain.links for name in link.run.records}
        yield from check_store(store, hasher, held, recorded)
    listed = exported(folder)
    yield from () if listed is None else check_exported(folder, listed, hasher)
    names = {site.folder.name for site in sites}
    for path in files_below(folder):
        if listed and path.relative_to(folder).as_posix() in listed and not path.is_symlink():
            continue
        first, *below = path.relative_to(folder).parts
        log = first == LOGS and len(below) == 1 and path.suffix == ".jsonl"
        elsewhere = below and (first in names or first == EVIDENCE)
        of_ours = first in HIDDEN or log or elsewhere or (not below and (first in known or first.startswith(_ASIDE)))
        if not of_ours or (path.is_symlink() and not elsewhere and path != store):
            yield extra(path, "is no file of a result or of a batch")


def _portfolio(path: Path) -> tuple[Portfolio | None, str | None]:
    """Return the portfolio as it is told, and what is wrong with the file that tells it."""
    portfolio, wrong = read_own(path, Portfolio)
    # Those of before held no hash of themselves, and are written anew by the next batch.
    return portfolio, None if portfolio is not None and portfolio.own_sha256 is None else wrong


def _gathered(folder: Path, portfolio: Portfolio, sites: Sequence[Checked], hasher: Hasher) -> Iterator[Problem]:
    """Check the files that gather all sites, and that they were made of these results."""
    for output in portfolio.outputs:
        if stays_inside(output.path):
            yield from compared(folder / output.path, output.sha256, output.size_bytes, hasher, PORTFOLIO)
        else:
            yield outside_of(str(folder / PORTFOLIO), output.path, "the folder")
    gathered = {site.site: site.manifest_sha256 for site in portfolio.sites}
    present = {s.folder.name: hasher(s.folder / MANIFEST) for s in sites if (s.folder / MANIFEST).is_file()}
    changed = {Path(p.path).parent.name for s in sites for p in s.problems if Path(p.path) == s.folder / MANIFEST}
    for name in sorted((gathered.keys() | present.keys()) - changed):
        known_to_lack = name in gathered and gathered[name] is None
        if not known_to_lack and gathered.get(name) != present.get(name):
            detail = f"was not made of the present result of {name}; stockline report writes it anew"
            yield Problem(str(folder / PORTFOLIO), "incomplete" if name in present else "missing", detail)


def _dependence(site: Checked) -> Dependence | None:
    """Return which numbers rest on which file of a site; None where no run left its numbers as they were."""
    numbers = kept_numbers(site.folder, site.chain.links, make_hasher())
    if site.manifest is None or numbers is None:
        return None
    try:
        return Dependence.of(site.manifest, read_numbers(numbers))
    except ProductError:
        return None


def _told(problem: Problem, folder: Path, dependences: Sequence[tuple[Path, Dependence | None]]) -> Problem:
    """Return a problem with the numbers that rest on its file, at every site they are of."""
    path, said, numbers = folder.absolute() / problem.path, [], []
    several = len(dependences) > 1
    for site, dependence in dependences:
        inside = path.is_relative_to(site)
        if dependence is None:
            said += ["which numbers rest on it is not known: no run left them, or not as recorded"] if inside else []
            continue
        rest = dependence.numbers_on(path.relative_to(site).as_posix() if inside else problem.path)
        if rest or inside:
            at = f"{site.name}: " if several and not inside else ""
            said.append(at + dependence.said(path.relative_to(site).as_posix() if inside else problem.path))
            numbers += [f"{site.name}/{address}" if several else address for address in rest]
    return replace(problem, rests="; ".join(said) or "no number rests on it", numbers=tuple(numbers))
