"""Time stamps (RFC 3161): asked of an authority, checked when they arrive and ever after.

A stamp says that some bytes were there at a time, by the clock of an authority. Its certificate may end later: it must
have been good at that time.
"""

import datetime as dt
import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rfc3161_client as rfc3161
from cryptography import x509

from pipeline.config import SourceConfig
from pipeline.errors import InputError, ProductError, SourceError
from pipeline.exchange import FIRST_ERROR, Ask, try_once
from pipeline.printable import one_line, plain, unsigned

_MOST_BYTES = 1 << 17
"""A stamp with the certificates of its authority has 2 to 8 thousand bytes."""
_ASKED = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_CHECK_S = 60.0


@dataclass(frozen=True)
class Stamp:
    """A stamp that fits what it is of: when, and the subject of the certificate that signed it, up to a given CA.

    ``authority`` is None where no CA was given: anybody can write any name into a certificate.
    """

    time: dt.datetime
    authority: str | None

    @property
    def trusted(self) -> bool:
        """Whether it leads up to a given CA."""
        return self.authority is not None


def read_authorities(path: Path, named: str) -> tuple[x509.Certificate, ...]:
    """Read certificates (PEM) that stamps must lead up to; :class:`InputError` names the setting and the file."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{named} = {path}: cannot be read ({error.strerror}); name a file of certificates") from error
    except ValueError as error:
        raise InputError(f"{named} = {path}: holds no certificate in PEM ({one_line(error)})") from error


def ask_stamp(content: bytes, url: str, authorities: Sequence[x509.Certificate], timeout_s: float) -> bytes:
    """Ask an authority for a stamp of bytes, and check it.

    Parameters
    ----------
    content : bytes
        Only their hash is sent.
    url : str
    authorities : sequence of Certificate
        The stamp must lead up to one of them.
    timeout_s : float

    Returns
    -------
    bytes
        The answer, as it came.

    Raises
    ------
    SourceError
        No answer, or none that is a good stamp of these bytes.
    """
    request = (
        rfc3161.TimestampRequestBuilder()
        .data(content)
        .hash_algorithm(rfc3161.HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    asked = Ask(url, "POST", _ASKED, request.as_bytes(), most_bytes=_MOST_BYTES)
    tried = try_once(SourceConfig(url=url, timeout_s=timeout_s), asked)
    if tried.answer is None:
        raise SourceError(f"{unsigned(url)}: gives no time stamp now ({tried.error or tried.reason})")
    if tried.answer.status >= FIRST_ERROR:
        raise SourceError(f"{unsigned(url)}: gives no time stamp now (answers {tried.answer.status})")
    try:
        _checked(tried.answer.body, content, authorities, request.nonce)
    except ProductError as error:
        raise SourceError(f"{unsigned(url)}: its time stamp {error}") from error
    return tried.answer.body


def check_stamp(answer: bytes, content: bytes, authorities: Sequence[x509.Certificate]) -> Stamp:
    """Check a stamp of bytes.

    Parameters
    ----------
    answer : bytes
        As an authority gave it.
    content : bytes
    authorities : sequence of Certificate
        Empty: it is held to its own certificate only.

    Raises
    ------
    ProductError
        It does not fit, or leads up to none of the authorities; says which.
    """
    return _checked(answer, content, authorities, None)


def _checked(answer: bytes, content: bytes, authorities: Sequence[x509.Certificate], nonce: int | None) -> Stamp:
    if len(answer) > _MOST_BYTES:
        raise ProductError("is too long for a time stamp")
    try:
        response = rfc3161.decode_timestamp_response(answer)
        if response.status != rfc3161.PKIStatus.GRANTED.value:
            raise ProductError(f"was not granted ({plain(' '.join(response.status_string)) or response.status})")
        told = response.tst_info
        time = told.gen_time
        if authorities:
            builder = rfc3161.VerifierBuilder(nonce=nonce)
            for certificate in authorities:
                builder = builder.add_root_certificate(certificate)
            builder.build().verify_message(response, content)
        else:
            _by_itself(response, content)
        authority = plain(_signer(response)) if authorities else None
    except (ValueError, rfc3161.VerificationError) as error:
        raise ProductError(f"does not fit ({_short(error)})") from error
    return Stamp(time.replace(tzinfo=time.tzinfo or dt.UTC), authority)


def _signer(response: rfc3161.TimeStampResponse) -> str:
    """Return the subject of the certificate that signed a stamp which holds; the token may name anybody."""
    [signer] = response.signed_data.signer_infos
    certificates = map(x509.load_der_x509_certificate, response.signed_data.certificates)
    named = (c for c in certificates if (c.issuer, c.serial_number) == (signer.issuer, signer.serial_number))
    return next(named).subject.rfc4514_string()


def _by_itself(response: rfc3161.TimeStampResponse, content: bytes) -> None:
    """Hold a stamp to these bytes and to its own certificate, of which nothing is known."""
    imprint = response.tst_info.message_imprint
    algorithm = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.3": "sha512"}.get(
        imprint.hash_algorithm.dotted_string
    )
    if algorithm is None or hashlib.new(algorithm, content).digest() != imprint.message:
        raise ProductError("is of something else")
    token = response.time_stamp_token()
    try:
        done = subprocess.run(
            ("openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-binary"),  # noqa: S607 - that of the user
            input=token, capture_output=True, timeout=_CHECK_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProductError("cannot be checked without --tsa-ca: openssl is not installed") from error
    if done.returncode:
        raise ProductError("does not fit the certificate in it")


def _short(error: Exception) -> str:
    """Say what the library says, without its stack."""
    text = one_line(error)
    return text.split('data: "', 1)[-1].rstrip('"}])').strip() if 'data: "' in text else text.split(": ErrorStack")[0]
