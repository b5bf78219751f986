"""What vouches for a site's runs from outside, checked: signatures, time stamps, and those that are not there."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography import x509

from pipeline.errors import InputError, ProductError
from pipeline.products._documents import RUNS, Custody, Proofs
from pipeline.products.custody.problems import Hasher, Problem, compared
from pipeline.products.custody.run_chain import Chain, Link, read_own
from pipeline.products.custody.signatures import check_signature
from pipeline.products.custody.stamps import check_stamp, read_authorities
from pipeline.products.custody.vouching import SIGNATURE, STAMP
from pipeline.products.runs import PROOFS_KEPT


@dataclass(frozen=True)
class Trust:
    """Whom the reader trusts: a list of signers, authorities of time; neither is taken from a result."""

    signers: Path | None = None
    authorities: tuple[x509.Certificate, ...] = ()

    @classmethod
    def of(cls, folder: Path, signers: Path | None, tsa_ca: Path | None) -> "Trust":
        """Read what the reader named.

        Raises
        ------
        InputError
            A file cannot be read, or lies in the result it is to vouch for.
        """
        for name, path in (("--signers", signers), ("--tsa-ca", tsa_ca)):
            if path is not None and not path.is_file():
                raise InputError(f"{name} {path}: no such file")
            if path is not None and path.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{name} {path}: lies in the result it is to vouch for; name a copy of your own")
        return cls(signers, () if tsa_ca is None else read_authorities(tsa_ca, "--tsa-ca"))


@dataclass(frozen=True)
class Vouched:
    """What vouches for the newest run of a site; None where nothing does.

    ``signed`` and ``stamped`` tell whether a signature and a stamp are there, good or not; ``signer`` and ``trusted``
    whether key and authority are on the reader's lists. ``lapsed`` names what an earlier run had, or was to have, and
    the newest neither has nor asks for.
    """

    run: str
    signed: bool = False
    stamped: bool = False
    key: str | None = None
    signer: str | None = None
    time: dt.datetime | None = None
    authority: str | None = None
    trusted: bool = False
    lapsed: tuple[str, ...] = ()

    @property
    def by_key(self) -> str:
        """Who signed, in words."""
        if self.key is None:
            return "its signature does not hold" if self.signed else "not signed"
        return f"signed with key {self.key}, " + (
            f"by {self.signer}" if self.signer else "not compared with a list of signers (--signers)"
        )

    def by_authority(self, when: str) -> str:
        """Who stamped it, in words, and ``when``, as it is given; no name where nobody compared it."""
        if self.time is None:
            return "its time stamp does not hold" if self.stamped else "no time stamp"
        if not self.trusted:
            return f"stamped {when}, by an authority not compared with a certificate you trust (--tsa-ca)"
        return f"stamped by {self.authority} at {when}"

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        at = None if self.time is None else _utc(self.time)
        return asdict(self) | {"time": at, "lapsed": list(self.lapsed)}


def outside(vouched: Mapping[str, Vouched | None]) -> list[str]:
    """Say what vouches for the newest runs of sites from outside their folders, alike ones together."""
    alike: dict[tuple[str, str], list[tuple[str, Vouched]]] = {}
    for site, found in vouched.items():
        if found is not None:
            alike.setdefault((found.by_key, found.by_authority("")), []).append((site, found))
    lines = []
    for (key, _), found_there in alike.items():
        names = [site for site, _ in found_there]
        times = sorted(_utc(one.time) for _, one in found_there if one.time is not None)
        authority = found_there[0][1].by_authority(" to ".join(dict.fromkeys((*times[:1], *times[-1:]))))
        who = f"{found_there[0][1].run} of {names[0]}" if len(names) == 1 else f"newest runs of {len(names)} sites"
        alone = "; nothing outside this folder vouches for it" if key == "not signed" and not times else ""
        lines.append(f"{who}: {key}; {authority}{alone}")
    return lines


def lapsed(vouched: Mapping[str, Vouched | None]) -> str:
    """Say what the newest runs of sites lack and earlier ones had, to stand behind the outcome; empty if nothing."""
    sites: dict[tuple[str, ...], list[str]] = {}
    for site, found in vouched.items():
        if found is not None and found.lapsed:
            sites.setdefault(found.lapsed, []).append(site)
    said = (
        f"; the newest run of {', '.join(names)} has {' and '.join(f'no {what}' for what in lacks)}, earlier runs had"
        for lacks, names in sites.items()
    )
    return "".join(said)


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def check_proofs(folder: Path, chain: Chain, trust: Trust, hasher: Hasher) -> tuple[list[Problem], Vouched | None]:
    """Check what lies beside the records of a site, and what should; the second value is of the newest run."""
    problems: list[Problem] = []
    vouched = None
    for link in chain.links:
        found = list(_kept(folder, link, chain, hasher))
        problems += found
        wrong, vouched = _check(folder, link, trust, {problem.path for problem in found})
        problems += wrong
    if vouched is None:
        return problems, None
    named = {problem.path for problem in problems}
    problems += [problem for problem in _unvouched(folder, vouched, trust) if problem.path not in named]
    return problems, replace(vouched, lapsed=_lapsed(folder, chain.links))


def _unvouched(folder: Path, newest: Vouched, trust: Trust) -> Iterator[Problem]:
    """Tell a reader who names signers or authorities that the newest run is vouched for by none of them."""
    if trust.signers is not None and newest.signer is None:
        detail = f"is missing: {newest.run} is not signed by any of the signers"
        yield Problem(str(folder / f"{newest.run}.{SIGNATURE}"), "missing", detail)
    if trust.authorities and not newest.trusted:
        detail = f"is missing: {newest.run} has no time stamp of any of the authorities"
        yield Problem(str(folder / f"{newest.run}.{STAMP}"), "missing", detail)


def _lapsed(folder: Path, links: Sequence[Link]) -> tuple[str, ...]:
    """Name what an earlier run had, or was to have, and the newest neither has nor asks for."""
    *earlier, newest = [_proofs_of(folder, link) for link in links]
    had = set().union(*earlier)
    return tuple(what for what in ("signature", "time stamp") if what in had - newest)


def _proofs_of(folder: Path, link: Link) -> set[str]:
    wanted = link.run.custody or Custody()
    pairs = (("signature", wanted.signed_by, SIGNATURE), ("time stamp", wanted.stamped_by, STAMP))
    return {what for what, asked, ending in pairs if asked or (folder / f"{link.name}.{ending}").exists()}


def _kept(folder: Path, link: Link, chain: Chain, hasher: Hasher) -> Iterator[Problem]:
    """Hold proofs to the hashes kept of them, and to what the record asks for."""
    there = [ending for ending in (SIGNATURE, STAMP) if (folder / f"{link.name}.{ending}").exists()]
    kept = folder / RUNS / f"{link.number:04d}.{PROOFS_KEPT}"
    chain.known |= {f"{RUNS}/{kept.name}", *(f"{link.name}.{ending}" for ending in (SIGNATURE, STAMP))}
    wanted = link.run.custody or Custody()
    files: dict[str, str] = {}
    if kept.exists():
        proofs, wrong = read_own(kept, Proofs)
        files = proofs.files if proofs is not None and wrong is None else {}
        yield from [] if wrong is None else [Problem(str(kept), "differs", wrong)]
    elif there:
        yield Problem(str(kept), "missing", "is missing: the hashes of what vouches for the run")
    for ending, asked, what in (
        (SIGNATURE, wanted.signed_by, "signature by key"),
        (STAMP, wanted.stamped_by, "time stamp of"),
    ):
        name = f"{link.name}.{ending}"
        if name in files:
            yield from compared(folder / name, files[name], None, hasher, f"{RUNS}/{kept.name}")
        elif asked is not None and ending not in there:
            yield Problem(str(folder / name), "missing", f"is missing: the {what} {asked} that its record asks for")


def _check(folder: Path, link: Link, trust: Trust, wrong: set[str]) -> tuple[list[Problem], Vouched]:
    """Check one record's stamp, then its signature as of the time that tells; files known to be wrong are left."""
    signature, stamp = (folder / f"{link.name}.{ending}" for ending in (SIGNATURE, STAMP))
    problems: list[Problem] = []
    stamped = signed = None
    if stamp.is_file() and str(stamp) not in wrong:
        try:
            stamped = check_stamp(stamp.read_bytes(), link.content, trust.authorities)
        except ProductError as error:
            problems.append(Problem(str(stamp), "differs", f"as a time stamp of {link.name} {error}"))
    if signature.is_file() and str(signature) not in wrong:
        at = stamped.time if stamped is not None and stamped.trusted else None
        try:
            signed = check_signature(link.content, signature, trust.signers, at)
        except (ProductError, InputError) as error:
            problems.append(Problem(str(signature), "differs", f"as a signature of {link.name} {error}"))
    asked = (link.run.custody or Custody()).signed_by
    if signed is not None and asked not in (None, signed.fingerprint):
        problems.append(Problem(str(signature), "differs", f"is by key {signed.fingerprint}; its record names {asked}"))
    vouched = Vouched(
        run=link.name,
        signed=signature.exists(),
        stamped=stamp.exists(),
        key=None if signed is None else signed.fingerprint,
        signer=None if signed is None else signed.signer,
        time=None if stamped is None else stamped.time,
        authority=None if stamped is None else stamped.authority,
        trusted=stamped is not None and stamped.trusted,
    )
    return problems, vouched
