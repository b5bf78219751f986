"""Signatures by SSH keys: made and checked by ``ssh-keygen``, in the format anybody can check with it (SSHSIG).

Nothing asks for a passphrase: a key is open, or an agent holds it.
"""

import datetime as dt
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, ProductError
from pipeline.printable import plain

NAMESPACE = "stockline"
"""What signatures are for: one that was made for anything else does not fit."""
_TOOL = "ssh-keygen"
_MOST_BYTES = 1 << 14
_FINGERPRINT = re.compile(r"\b(SHA256:[A-Za-z0-9+/]{43})\b")
_HEAD = b"-----BEGIN SSH SIGNATURE-----"
_CHECK_S = 60.0


@dataclass(frozen=True)
class Signature:
    """A signature that fits what it is of: by which key, and by whom (None: not looked up, or on no list)."""

    fingerprint: str
    signer: str | None


def fingerprint(key: Path) -> str:
    """Return the fingerprint of a key, private or public.

    Raises
    ------
    InputError
        The file is not there or holds no key, or ``ssh-keygen`` is not installed.
    """
    if not key.is_file():
        raise InputError(f"custody.sign_key = {key}: no such file; name the key to sign with, or leave it out")
    done = _called(["-l", "-f", str(key)], b"", _CHECK_S)
    found = _FINGERPRINT.search(done.stdout.decode(errors="replace"))
    if done.returncode or found is None:
        raise InputError(f"custody.sign_key = {key}: is no SSH key ({_said(done)})")
    return found[1]


def sign(content: bytes, key: Path, timeout_s: float) -> bytes:
    """Sign bytes.

    Parameters
    ----------
    content : bytes
    key : Path
        A private key without a passphrase, or the public key of one that an agent holds.
    timeout_s : float
        An agent that does not answer is given up.

    Returns
    -------
    bytes
        The armoured signature.

    Raises
    ------
    ProductError
        The key cannot be used.
    """
    done = _called(["-Y", "sign", "-n", NAMESPACE, "-f", str(key)], content, timeout_s)
    if done.returncode or not done.stdout.startswith(_HEAD):
        remedy = "use a key without a passphrase, or have an agent hold it and name its public key"
        raise ProductError(f"custody.sign_key = {key}: cannot sign ({_said(done)}); {remedy}")
    return done.stdout


def check_signature(content: bytes, signature: Path, signers: Path | None, at: dt.datetime | None) -> Signature:
    """Check a signature of bytes.

    Parameters
    ----------
    content : bytes
    signature : Path
    signers : Path or None
        List of who may sign, in the format ``allowed_signers`` of ``ssh-keygen``.
    at : datetime or None
        When it was made, as a time stamp tells, so that a key that was good then is; None: now.

    Raises
    ------
    ProductError
        It does not fit, or is by nobody on the list; says which. Also where it cannot be checked.
    """
    _check_size(signature)
    done = _called(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], content, _CHECK_S)
    found = _FINGERPRINT.search(done.stdout.decode(errors="replace"))
    if done.returncode or found is None:
        raise ProductError(f"does not fit ({_said(done)})")
    if signers is None:
        return Signature(found[1], None)
    when = [] if at is None else ["-O", f"verify-time={at.astimezone(dt.UTC):%Y%m%d%H%M%SZ}"]
    listed = _called(["-Y", "find-principals", *when, "-s", str(signature), "-f", str(signers)], content, _CHECK_S)
    for name in listed.stdout.decode(errors="replace").splitlines() if listed.returncode == 0 else ():
        tried = ["-Y", "verify", *when, "-f", str(signers), "-I", name, "-n", NAMESPACE, "-s", str(signature)]
        if _called(tried, content, _CHECK_S).returncode == 0:
            return Signature(found[1], plain(name))
    raise ProductError(f"is by key {found[1]}, which is not good on the list of signers")


def _called(arguments: list[str], given: bytes, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """Call the tool where it can ask nobody: no terminal, no window."""
    quiet = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "SSH_ASKPASS"}}
    with tempfile.TemporaryFile() as content:
        content.write(given)
        content.seek(0)
        try:
            return subprocess.run(  # noqa: S603 - fixed words and paths
                (_TOOL, *arguments), stdin=content, capture_output=True, timeout=timeout_s, check=False,
                start_new_session=True, env=quiet | {"SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise InputError(f"{_TOOL}: is not installed; it makes and checks signatures (package openssh)") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProductError(f"{_TOOL}: does not answer ({type(error).__name__}); is the agent there?") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    return plain(said[-1].strip())[:200] if said else f"status {done.returncode}"


def _check_size(path: Path) -> None:
    if path.stat().st_size > _MOST_BYTES:
        raise ProductError("is too long for a signature")
