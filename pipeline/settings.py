"""What one call of the command line works on: configuration with its overrides, sites and claims, all checked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config, overridden
from pipeline.errors import InputError
from pipeline.learned import check_installed
from pipeline.sites import read_claims, read_sites
from pipeline.types import Claim, Site


@dataclass(frozen=True)
class Settings:
    """Checked input of a batch; ``claims_sha256`` is the hash of the claims file, None without one."""

    config: Config
    sites: tuple[Site, ...]
    claims: tuple[Claim, ...]
    claims_sha256: str | None

    @classmethod
    def make(
        cls, config: Config, wanted: Sequence[str], out: Path | None = None, years: tuple[int, int] | None = None
    ) -> "Settings":
        """Apply the command line's choices and read sites and claims.

        Raises
        ------
        InputError
            A choice, a site file or the claims file is refused, or what ``clear`` names is not there.
        """
        config = overridden(config, out, years)
        if config.clear.without_scl == "csmask":
            check_installed()
        if config.clear.dem is not None and not Path(config.clear.dem).is_file():
            raise InputError(f"clear.dem = {config.clear.dem}: no such file; name a raster in metres, or leave it out")
        claims = read_claims(config.claims) if config.claims else ()
        digest = hashlib.sha256(config.claims.read_bytes()).hexdigest() if config.claims else None
        return cls(config, read_sites(config.sites, config.limits, wanted), tuple(claims), digest)
