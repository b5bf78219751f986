"""What vouches for the records of runs from outside: signatures and time stamps beside them, made and completed.

The record of a run says what shall lie beside it, so that it shows when that is taken away. A run that was killed, or
whose authority did not answer, is completed by the next batch. ``runs/NNNN.proofs`` has the hash of each file, since a
stamp has bytes that no signature covers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pipeline.custody_section import CustodyConfig
from pipeline.errors import InputError, ProductError, SourceError
from pipeline.evidence import sha256_file
from pipeline.printable import unsigned
from pipeline.products._documents import MANIFEST, RUNS, Custody, Proofs, own_sha256, read_document, write_document
from pipeline.products.atomic import atomic_path
from pipeline.products.custody.run_chain import read_record
from pipeline.products.custody.signatures import fingerprint, sign
from pipeline.products.custody.stamps import ask_stamp, read_authorities
from pipeline.products.runs import PROOFS, PROOFS_KEPT, number_of, run_records

SIGNATURE, STAMP = PROOFS


@dataclass(frozen=True)
class Voucher:
    """Key and authority of a configuration, tried before any work."""

    config: CustodyConfig
    authorities: tuple[x509.Certificate, ...]


def expected(config: CustodyConfig) -> Custody | None:
    """Return what shall lie beside the record of a run; None where nothing is asked for.

    Raises
    ------
    InputError
        The key is not there, or is none.
    """
    if not config.asked:
        return None
    return Custody(
        signed_by=None if config.sign_key is None else fingerprint(Path(config.sign_key)),
        stamped_by=None if config.timestamp_url is None else unsigned(config.timestamp_url),
    )


def ready(config: CustodyConfig) -> Voucher:
    """Try the key and read the certificates, before any work: a batch at night has nobody to ask.

    Raises
    ------
    InputError
        The key cannot sign, or the certificates cannot be read.
    """
    if config.sign_key is not None:
        fingerprint(Path(config.sign_key))
        try:
            sign(b"tried before a batch", Path(config.sign_key), config.timeout_s)
        except ProductError as error:
            raise InputError(str(error)) from error
    ca = config.timestamp_ca
    return Voucher(config, () if ca is None else read_authorities(Path(ca), "custody.timestamp_ca"))


def vouch(folders: Sequence[Path], voucher: Voucher, say: Callable[[str, str], None]) -> list[str]:
    """Sign and stamp the newest run of each site, and what former runs still lack.

    An authority that does not answer is told once and asked no more: the next batch asks again.

    Parameters
    ----------
    folders : sequence of Path
        Of sites; one without a result is passed over.
    voucher : Voucher
    say : callable
        Takes a site's id and a line.

    Returns
    -------
    list of str
        What could not be signed, and why, by site: one line each.
    """
    failed, silent = [], False
    for folder in folders if voucher.config.asked else ():
        records = run_records(folder) if (folder / MANIFEST).is_file() else []
        for record in records:
            try:
                silent |= _completed(record, record == records[-1], voucher, silent, say)
            except ProductError as error:
                failed.append(f"{folder.name}: {error}")
                break
    return failed


def _completed(record: Path, newest: bool, voucher: Voucher, silent: bool, say: Callable[[str, str], None]) -> bool:
    """Give one record what it lacks; True where the authority did not answer."""
    run, wrong = read_record(record)
    if run is None:
        raise ProductError(f"{record}: {wrong}; nothing vouches for it, see stockline verify")
    config, site = voucher.config, record.parent.parent.name
    wanted = run.custody or Custody()
    signature, stamp = (record.with_name(f"{record.name}.{ending}") for ending in PROOFS)
    content = record.read_bytes()
    if config.sign_key is not None and (newest or wanted.signed_by) and not signature.exists():
        _write(signature, sign(content, Path(config.sign_key), config.timeout_s))
        say(site, f"{RUNS}/{record.name} signed with key {fingerprint(Path(config.sign_key))}")
    if config.timestamp_url is not None and (newest or wanted.stamped_by) and not stamp.exists() and not silent:
        try:
            _write(stamp, ask_stamp(content, config.timestamp_url, voucher.authorities, config.timeout_s))
            say(site, f"{RUNS}/{record.name} stamped by {unsigned(config.timestamp_url)}")
        except SourceError as error:
            say(site, f"{RUNS}/{record.name} has no time stamp: {error}; the next batch asks again")
            silent = True
    _note(record, [path for path in (signature, stamp) if path.is_file()])
    return silent


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as beside:
        beside.write_bytes(content)


def _note(record: Path, proofs: Sequence[Path]) -> None:
    """Keep the hash of each proof; one that is kept already stays as it is, whatever lies there now."""
    path = record.with_name(f"{number_of(record):04d}.{PROOFS_KEPT}")
    former = read_document(path, Proofs).files if path.is_file() else {}
    files = {f"{RUNS}/{proof.name}": sha256_file(proof) for proof in proofs} | former
    if files and files != former:
        noted = Proofs(files=dict(sorted(files.items())))
        write_document(path, noted.model_copy(update={"own_sha256": own_sha256(noted.model_dump(mode="json"))}))
