"""The section ``custody`` of config.yaml: who vouches for the record of each run; as :mod:`pipeline.sections`."""

from pydantic import Field, field_validator, model_validator

from pipeline.printable import wrong_address
from pipeline.sections import Section


class CustodyConfig(Section):
    """A signature and a time stamp beside the record of each run; none unless asked for."""

    sign_key: str | None = None
    """SSH key to sign with: a private key without a passphrase, or the public one of a key an agent holds."""
    timestamp_url: str | None = None
    """Address of an authority of RFC 3161. It is sent a hash and learns nothing else."""
    timestamp_ca: str | None = None
    """Certificates (PEM) its stamps must lead up to; needed with ``timestamp_url``, and again by whoever verifies."""
    timeout_s: float = Field(30.0, gt=0, le=300)
    """Seconds an authority, or an agent of keys, may stay without an answer."""

    @field_validator("timestamp_url")
    @classmethod
    def _address(cls, address: str | None) -> str | None:
        wrong = None if address is None else wrong_address(address) or ("://" not in address and "is no web address")
        if wrong:
            raise ValueError(wrong)
        return address

    @model_validator(mode="after")
    def _both(self) -> "CustodyConfig":
        if (self.timestamp_url is None) != (self.timestamp_ca is None):
            raise ValueError("timestamp_url and timestamp_ca belong together; give both, or neither")
        return self

    @property
    def asked(self) -> bool:
        """Whether anything shall vouch for a run."""
        return self.sign_key is not None or self.timestamp_url is not None
