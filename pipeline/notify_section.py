"""The sections of config.yaml about batches: when a site is stale, and who is told; as :mod:`pipeline.sections`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from pipeline.printable import wrong_address
from pipeline.sections import Section

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_MAIL = re.compile(rf"{_LOCAL}@{_NAME}")
_HOST = re.compile(rf"{_NAME}|\[[0-9A-Fa-f:.]+\]")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _mail_address(address: str) -> str:
    # What an address may hold ends no header line and names no second address.
    if not _MAIL.fullmatch(address):
        raise ValueError("is not one plain mail address such as desk@example.org")
    return address


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class MailConfig(Section):
    """A server that takes mail. User and password come from STOCKLINE_MAIL_USER and STOCKLINE_MAIL_PASSWORD."""

    host: str
    """Name or address of the server."""
    port: int | None = Field(None, ge=1, le=65535)
    """None: 587 with starttls, 465 with tls, 25 with none."""
    sender: MailAddress = Field(alias="from")
    to: tuple[MailAddress, ...] = Field(min_length=1)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is kept private; with none a password is sent to this machine only."""

    @field_validator("host")
    @classmethod
    def _plain_host(cls, host: str) -> str:
        if not _HOST.fullmatch(host):
            raise ValueError("is not the name of a host; the port stands in its own key")
        return host

    @property
    def port_used(self) -> int:
        """The port, or the usual one."""
        return self.port or _PORTS[self.tls]


class WebhookConfig(Section):
    """An address that takes ``summary.json`` by POST; a token in STOCKLINE_WEBHOOK_TOKEN is sent as bearer."""

    url: str | None = None
    """None: that in STOCKLINE_WEBHOOK_URL, where the address itself is a secret."""

    @field_validator("url")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        wrong = None if address is None else wrong_address(address) or ("://" not in address and "is no web address")
        if wrong:
            raise ValueError(wrong)
        return address


class NotifyConfig(Section):
    """Who is told how a batch ended; nobody unless a way is named."""

    mail: MailConfig | None = None
    """Takes ``digest.md``."""
    webhook: WebhookConfig | None = None
    """Takes ``summary.json``."""
    when: Literal["always", "changes", "failures"] = "always"
    """Every batch; those in which a verdict changed or anything failed; or only the latter."""
    timeout_s: float = Field(20.0, gt=0, le=300)
    """Seconds a server may stay without an answer; a batch holds the results folder meanwhile."""
    tries: int = Field(3, ge=1, le=10)
    """Tries of one delivery; what fails is told, and goes with the digest of the next batch."""


class BatchConfig(Section):
    """What is expected of repeated batches."""

    stale_days: int = Field(35, ge=1)
    """A site no batch has looked at for longer is stale: a month and some days, less than the 50 days of the shorter
    window of stockpiles, so that a site left out is named before a window has passed."""
