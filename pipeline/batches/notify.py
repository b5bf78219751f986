"""Digests to who wants them: mail by SMTP, ``summary.json`` by POST; tried a few times, never followed elsewhere.

User, password and token come from the environment alone. What a server says is told without them, and an address that
may itself be a secret is told by its host.
"""

import datetime as dt
import email.message
import email.policy
import email.utils
import os
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import requests

from pipeline.errors import InputError
from pipeline.exchange import BUSY, FIRST_ERROR, session
from pipeline.notify_section import MailConfig, NotifyConfig
from pipeline.printable import plain, shown, wrong_address

USER, PASSWORD = "STOCKLINE_MAIL_USER", "STOCKLINE_MAIL_PASSWORD"
TOKEN, ADDRESS = "STOCKLINE_WEBHOOK_TOKEN", "STOCKLINE_WEBHOOK_URL"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_WHOLE_TIMEOUTS = 3
"""A try may take as many times ``notify.timeout_s``: a server that drips answers within each."""
_FIRST_REDIRECT = 300
_FOR_GOOD = 500
"""From here on SMTP refuses for good; below, for now."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "[::1]"}


@dataclass(frozen=True)
class Channel:
    """A way to somebody, ready to be used; what is secret is not shown."""

    notify: NotifyConfig
    way: str
    address: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Answer:
    """What came of one try: nothing to say when it arrived; ``again`` when another try may help."""

    error: str | None = None
    again: bool = False


def channels(notify: NotifyConfig, environment: Mapping[str, str] = os.environ) -> dict[str, Channel]:
    """Return the ways that are configured, with what they need from the environment.

    Raises
    ------
    InputError
        Something they need is missing, or a secret would go over the network in the clear.
    """
    found = {}
    if notify.mail is not None:
        user, password = environment.get(USER, ""), environment.get(PASSWORD, "")
        if bool(user) != bool(password):
            raise InputError(f"notify.mail: of {USER} and {PASSWORD} one is not set; set both, or neither")
        if password and notify.mail.tls == "none" and notify.mail.host not in _LOOPBACK:
            raise InputError(
                f"notify.mail.tls = none: the password of {USER} would be readable on its way to {notify.mail.host}; "
                "set starttls or tls"
            )
        found["mail"] = Channel(notify, "mail", user=user, secret=password)
    if notify.webhook is not None:
        address, token = notify.webhook.url or environment.get(ADDRESS, ""), environment.get(TOKEN, "")
        if not address:
            raise InputError(f"notify.webhook.url is not set, nor is {ADDRESS}; set one of them")
        wrong = wrong_address(address.split("?", maxsplit=1)[0]) if notify.webhook.url is None else None
        if wrong or "://" not in address:
            raise InputError(f"{ADDRESS} {wrong or 'is no web address'}; its value is not shown here")
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and (token or notify.webhook.url is None):
            raise InputError(f"notify.webhook: a secret would be readable on its way to {parts.hostname}; use https")
        found["webhook"] = Channel(notify, "webhook", address=address, secret=token)
    return found


def send(channel: Channel, subject: str, body: str) -> str | None:
    """Deliver a text, tried a few times while the server is busy or away.

    Parameters
    ----------
    channel : Channel
    subject : str
        Of a mail.
    body : str
        Markdown of a mail, JSON of a webhook.

    Returns
    -------
    str or None
        Why it did not arrive, on one line without secrets; None when it did.
    """
    call: Callable[[], _Answer]
    if channel.way == "mail" and channel.notify.mail is not None:
        where, call = channel.notify.mail.host, partial(_mailed, channel, channel.notify.mail, subject, body)
    else:
        where, call = urlsplit(channel.address).hostname or "", partial(_posted, channel, body)
    wait_s = _FIRST_WAIT_S
    for tried in range(1, channel.notify.tries + 1):
        answer = _within(_WHOLE_TIMEOUTS * channel.notify.timeout_s, call)
        if not answer.again or tried == channel.notify.tries:
            break
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
    if answer.error is None:
        return None
    said = answer.error
    for secret in filter(None, (channel.secret, channel.user)):
        said = said.replace(secret, "...")
    return plain(f"{where} {said}" + (f", tried {tried} times" if tried > 1 else ""))


def _within(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """Wait so long for an answer: a server that says a word now and then would hold a batch for hours."""
    answers: list[_Answer] = []
    # It dies with the program: nobody waits for it.
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else _Answer(f"gave no whole answer in {seconds:g} s", again=True)


def _message(mail: MailConfig, subject: str, body: str) -> email.message.EmailMessage:
    """Set a mail; a subject of more than one line is written as one."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    domain = mail.sender.rpartition("@")[2]
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message["Subject"] = plain(subject)
    message["Date"] = email.utils.format_datetime(dt.datetime.now(dt.UTC))
    message["Message-ID"] = email.utils.make_msgid(domain=domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body, cte="quoted-printable")  # seven bits: every server takes it
    return message


def _mailed(channel: Channel, mail: MailConfig, subject: str, body: str) -> _Answer:
    """Try once to hand a mail to the server."""
    message = _message(mail, subject, body)
    try:
        with _connected(mail, channel.notify.timeout_s) as server:
            if channel.secret:
                server.login(channel.user, channel.secret)
            # Not send_message, which writes ">From" where a line begins with From.
            refused = server.sendmail(mail.sender, mail.to, message.as_bytes())
    except (OSError, smtplib.SMTPException) as error:
        return _refusal(mail, error)
    # The others have it: sending it again would double theirs.
    return _Answer(f"took it, but not for {', '.join(sorted(refused))}") if refused else _Answer()


def _connected(mail: MailConfig, timeout_s: float) -> smtplib.SMTP:
    """Connect as privately as is configured."""
    # The name of this machine would be shown to the server, and be asked for in the network first.
    domain, context = mail.sender.rpartition("@")[2], ssl.create_default_context()
    host = mail.host.strip("[]")
    if mail.tls == "tls":
        return smtplib.SMTP_SSL(host, mail.port_used, domain, timeout=timeout_s, context=context)
    server = smtplib.SMTP(host, mail.port_used, domain, timeout=timeout_s)
    if mail.tls == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _refusal(mail: MailConfig, error: Exception) -> _Answer:
    """Say why a mail was not taken, and whether another try may help."""
    again = False
    if isinstance(error, smtplib.SMTPAuthenticationError):
        said = f"refuses the login of {USER} ({error.smtp_code})"
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        said = f"offers no {'STARTTLS' if mail.tls == 'starttls' else 'login'}; check notify.mail.tls and the port"
    elif isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
        said, again = f"refuses every address of notify.mail.to ({code} {_said(reply)})", code < _FOR_GOOD
    elif isinstance(error, smtplib.SMTPResponseException):
        said, again = f"refuses ({error.smtp_code} {_said(error.smtp_error)})", error.smtp_code < _FOR_GOOD
    elif isinstance(error, ssl.SSLError):
        said = "has no certificate that is accepted, or speaks no TLS on this port; check notify.mail.tls"
    else:
        said, again = f"gives no answer ({shown(str(error)) or type(error).__name__})", True
    return _Answer(said, again)


def _posted(channel: Channel, body: str) -> _Answer:
    """Try once to post; a redirect is not followed, because it may lead anywhere."""
    headers = {"Content-Type": "application/json"}
    if channel.secret:
        headers["Authorization"] = f"Bearer {channel.secret}"
    try:
        with session().post(
            channel.address, data=body.encode("utf-8"), headers=headers,
            timeout=channel.notify.timeout_s, allow_redirects=False, stream=True,
        ) as reply:  # fmt: skip
            status = reply.status_code
    except requests.exceptions.SSLError:
        return _Answer("has no certificate that is accepted")
    except (requests.RequestException, ValueError, TypeError) as error:
        # Not in its own words, which hold the address and the password of a proxy.
        timed_out = isinstance(error, requests.Timeout)
        return _Answer("timed out" if timed_out else "gives no answer, or breaks off", again=True)
    if status < _FIRST_REDIRECT:
        return _Answer()
    if status < FIRST_ERROR:
        return _Answer(f"leads elsewhere ({status}); name the address itself")
    return _Answer(f"answers {status}", again=status in BUSY)


def _said(reply: object) -> str:
    return shown(reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply))
