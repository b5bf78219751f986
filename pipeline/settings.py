"""What one call of the command line works on: configuration with its overrides, sites and claims, all checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import Config, overridden
from pipeline.errors import InputError
from pipeline.learned import check_installed
from pipeline.places import check_places
from pipeline.sites import read_claims, read_sites
from pipeline.types import Claim, Site


@dataclass(frozen=True)
class Settings:
    """Checked input of a batch; ``claims_sha256`` is the hash of the claims file, None without one.

    ``documents`` are the bytes they were read from: ``<site>.geojson``, and ``claims.yaml`` whatever its name.
    """

    config: Config
    sites: tuple[Site, ...]
    claims: tuple[Claim, ...]
    claims_sha256: str | None
    documents: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def make(
        cls, config: Config, wanted: Sequence[str], out: Path | None = None, years: tuple[int, int] | None = None
    ) -> "Settings":
        """Apply the command line's choices and read sites and claims.

        Raises
        ------
        InputError
            A choice, a place, a site file or the claims file is refused, or what ``clear`` names is not there.
        """
        config = overridden(config, out, years)
        check_places(config)
        if config.clear.without_scl == "csmask":
            check_installed()
        if config.clear.dem is not None and not Path(config.clear.dem).is_file():
            raise InputError(f"clear.dem = {config.clear.dem}: no such file; name a raster in metres, or leave it out")
        documents: dict[str, bytes] = {}
        claims: tuple[Claim, ...] = ()
        digest = None
        if config.claims is not None:
            claims = tuple(read_claims(config.claims))
            documents["claims.yaml"] = config.claims.read_bytes()
            digest = hashlib.sha256(documents["claims.yaml"]).hexdigest()
            # Read before and after its bytes were taken: what is kept of it is what is tested.
            if tuple(read_claims(config.claims)) != claims:
                raise InputError(f"{config.claims}: was changed while it was read; run again")
        sites = read_sites(config.sites, config.limits, wanted)
        documents |= {f"{site.id}.geojson": _as_read(site, config.sites / f"{site.id}.geojson") for site in sites}
        return cls(config, sites, claims, digest, documents)


def _as_read(site: Site, path: Path) -> bytes:
    """Return the bytes a site was read from."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != site.sha256:
        raise InputError(f"{path}: was changed while it was read; run again")
    return content
