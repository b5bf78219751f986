"""Whether the files of a scene can be used at all: read on a grid, and in one coordinate system."""

from rasterio.crs import CRS
from rasterio.errors import RasterioError

from pipeline.addresses import file_name
from pipeline.decoded import keep, path_of
from pipeline.errors import SceneRefusedError
from pipeline.imagery import Scratch, StoredBand, StoredScene
from pipeline.pixels import check_part, read_part, why
from pipeline.types import Grid


def unreadable(stored: StoredScene, grid: Grid) -> str | None:
    """Say why the files of a scene cannot be used on a grid; None when they can, which their bytes alone decide."""
    first: tuple[StoredBand, CRS] | None = None
    for band in (band for item in stored.bands for band in item):
        try:
            # A copy was read when it was made; of a file of another's archive all that is needed must be there.
            system = check_part(band.path, grid) if band.evidence == "copy" else _decoded(band, grid, stored.scratch)
        except RasterioError as error:
            return f"file {file_name(band.href)} is broken ({why(error)})"
        except SceneRefusedError as refused:
            return str(refused)
        first = first or (band, system)
        if system != first[1]:
            names = file_name(first[0].href), file_name(band.href)
            return f"file {names[0]} is in {_title(first[1])}, file {names[1]} in {_title(system)}"
    return None


def _decoded(band: StoredBand, grid: Grid, scratch: Scratch | None) -> CRS:
    """Decode a file, and keep its pixels for the passes; its coordinate system."""
    part = read_part(band.path, grid)
    if scratch is not None:
        keep(part, path_of(band, scratch))
    return part.crs


def _title(system: CRS) -> str:
    code = system.to_epsg()
    return f"EPSG:{code}" if code else "an unnamed coordinate system"
