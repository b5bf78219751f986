"""What a run would read, estimated from the catalogue alone. Pure."""

from pipeline.config import Config
from pipeline.passes.scene import BANDS
from pipeline.run import Planned
from pipeline.store import Store

_BYTES_PER_PIXEL = 1.3
"""Deflated 16-bit surface reflectance; measured 1.2-1.4 on Sentinel-2 scenes of hills and villages."""
_FINE = ("blue", "green", "red", "nir")
_REQUESTS_PER_FILE = 3
"""Head, header and data (measured with directory listing off)."""
_SECONDS_PER_MEGAPIXEL = 0.9
"""Scene, block and object passes together on one core (benchmarks/README.md)."""
_SECONDS_PER_FILE = 0.6
"""Three round trips of 0.2 s."""


def estimate(planned: Planned, config: Config) -> str:
    """Scenes, bytes, requests and time of a site's run in one line; bytes and requests are upper bounds.

    What is already in the store is not fetched again and not subtracted here.
    """
    pixels = planned.grid.width * planned.grid.height
    items = sum(len(scene.items) for scene in planned.scenes)
    per_item = sum(pixels if band in _FINE else pixels / 4 for band in BANDS)
    files = items * len(BANDS)
    remote = Store.copying(config)
    megabytes = items * per_item * _BYTES_PER_PIXEL / 1e6
    seconds = items * per_item / 1e6 * _SECONDS_PER_MEGAPIXEL + (files * _SECONDS_PER_FILE if remote else 0.0)
    requests = files * _REQUESTS_PER_FILE
    fetched = f"{megabytes:,.0f} MB in {requests:,} requests" if remote else "nothing to fetch (local archive)"
    return (
        f"{len(planned.scenes)} scenes ({len(planned.refused)} refused), EPSG:{planned.grid.epsg}, "
        f"{planned.grid.width} x {planned.grid.height} px, {fetched}, "
        f"about {max(seconds / 60, 0.1):.1f} min on one worker"
    )
