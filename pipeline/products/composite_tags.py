"""What a composite says of itself, in whatever program it is opened. Pure."""

import json
from collections.abc import Sequence

from pipeline.config import Config
from pipeline.findings import PreparedScene
from pipeline.products.wording import attribution
from pipeline.types import Grid, Site

STATISTIC = "median of the clear dates of the year, pixel by pixel and band by band"


def composite_tags(
    site: Site, year: int, scenes: Sequence[PreparedScene], grid: Grid, config: Config
) -> dict[str, str]:
    """Metadata of the composite of a year, by name.

    Names of TIFF's own tags begin with ``TIFFTAG_``, as in GDAL; ``scenes`` is a JSON list.

    Parameters
    ----------
    site : Site
    year : int
    scenes : sequence of PreparedScene
        Those the composite is made of.
    grid : Grid
    config : Config
        Its windows say from which days of the year scenes are taken.
    """
    ids = sorted(scene.stored.scene.scene_id for scene in scenes)
    simulated = any(scene.stored.scene.simulated for scene in scenes)
    windows = sorted({*config.windows.stockpile, *config.windows.footprint})
    what = f"Surface reflectance {year} of site {site.id}, {STATISTIC}"
    return {
        **({"SIMULATED": "yes"} if simulated else {}),
        "TIFFTAG_COPYRIGHT": attribution([year], simulated=simulated),
        "TIFFTAG_IMAGEDESCRIPTION": f"SIMULATED {what}" if simulated else what,
        "crs": f"EPSG:{grid.epsg}",
        "n_scenes": str(len(ids)),
        "scenes": json.dumps(ids, ensure_ascii=False),
        "site": site.id,
        "statistic": STATISTIC,
        "windows": ", ".join(f"{first} to {last}" for first, last in windows),
        "year": str(year),
    }
