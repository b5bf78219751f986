"""A window of a raster on the network: its directory and the compressed blocks that meet the window, nothing more.

The bytes go into a local file that is empty elsewhere, and GDAL decodes that: it never asks a server itself. What is
no GeoTIFF, or lies with a server that gives no parts of files, is fetched whole.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rasterio.errors import RasterioError

from pipeline.addresses import file_name, unsigned
from pipeline.delivery import Delivered, telling
from pipeline.errors import GoneError, SceneRefusedError, SourceError
from pipeline.exchange import FIRST_ERROR, WHOLE, Answer, Ask
from pipeline.ledger import NOTHING, Traffic
from pipeline.pixels import pixel_window, read_part, why
from pipeline.rasters import MOST_BYTES
from pipeline.remote import Line, ask
from pipeline.tiff import Range, TiffError, blocks_of, merge, read_directory
from pipeline.types import Grid

_HEAD_BYTES = 8192
"""Asked first: the directory of a band of Sentinel-2 in blocks of 512 px takes 6,000 bytes, of 1024 px 2,000."""
_GAP_BYTES = 8192
"""Read along rather than asked for on their own."""
_MOST_BYTES = 16 << 30
FILE_BYTES = 2 << 30
"""Largest file fetched whole: a band of 10 m in JPEG 2000 has 0.13 GB."""
_PLAIN_NAME = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_MOST_READINGS = 3
"""A file that changes between two requests is read again from its start, this often in all."""


class _ChangedError(Exception):
    """The file is not the one its first bytes came from."""


class _NoPartsError(Exception):
    """The server gives files whole."""


def fetch_window(line: Line, band: str, address: Callable[[], str], grid: Grid, folder: Path) -> Delivered:
    """Window of a remote raster as the provider delivers it.

    Parameters
    ----------
    line : Line
    band : str
        Common name.
    address : callable
        Gives the file's address as it can be read now, with a fresh signature.
    grid : Grid
        What is wanted, and a margin round it.
    folder : Path
        Takes the file while it is read.

    Raises
    ------
    SceneRefusedError
        The file is broken for good, is not there, or does not reach the grid.
    SourceError
        It cannot be had now.
    """
    name = file_name(address())
    # Errors show the name the provider gave; one that is no plain name stays with him.
    path = folder / band / (name if _PLAIN_NAME.fullmatch(name) else "file.tif")
    path.parent.mkdir(exist_ok=True)
    taken = NOTHING
    try:
        for _ in range(_MOST_READINGS):
            reader = _Reader(line, address, path)
            try:
                delivered = _window(reader, band, grid)
                return replace(delivered, traffic=taken + delivered.traffic)
            except _ChangedError:
                taken += reader.traffic
            except (_NoPartsError, TiffError, RasterioError):
                # Only when every byte is here and it still cannot be read is the file itself broken.
                return _whole(reader, band, grid, taken)
        raise SourceError(f"{unsigned(address())}: changes while it is read; run again later")
    except GoneError as error:
        raise SceneRefusedError(f"file {name} is not there ({error.status})") from error
    finally:
        path.unlink(missing_ok=True)


def _window(reader: "_Reader", band: str, grid: Grid) -> Delivered:
    directory = read_directory(reader.ahead)
    # The other images of the file (overviews) are not fetched: here it ends with the first.
    reader.blank(directory.next_pointer)
    rows, columns = pixel_window(str(reader.path), grid)
    wanted = merge(blocks_of(directory, rows, columns), _GAP_BYTES)
    if sum(end - start for start, end in wanted) > MOST_BYTES:
        raise SceneRefusedError(f"file {file_name(reader.address())} has more bytes over the AOI than any real scene")
    for start, end in wanted:
        reader.get(start, end)
    reader.blank(directory.next_pointer)
    part = read_part(str(reader.path), grid)
    request = {"method": "GET", "url": unsigned(reader.address()), "ranges": [list(each) for each in reader.ranges]}
    return Delivered(band, part, request, telling(reader.headers), reader.traffic)


def _whole(reader: "_Reader", band: str, grid: Grid, taken: Traffic) -> Delivered:
    """Fetch a file whole and read the window from it."""
    answer = reader.all()
    try:
        part = read_part(str(reader.path), grid)
    except RasterioError as error:
        raise SceneRefusedError(f"file {file_name(reader.address())} is broken ({why(error)})") from error
    request = {"method": "GET", "url": unsigned(reader.address())}
    return Delivered(band, part, request, telling(answer.headers), taken + reader.traffic)


class _Reader:
    """Bytes of one remote file, each asked for once and kept in a local file of the same length."""

    def __init__(self, line: Line, address: Callable[[], str], path: Path) -> None:
        self.address = address
        self.path = path
        self.ranges: list[Range] = []
        self.headers: Mapping[str, str] = {}
        self.traffic: Traffic = NOTHING
        self._line = line
        self._size: int | None = None
        path.write_bytes(b"")

    def ahead(self, start: int, end: int) -> bytes:
        """Bytes of a directory; what follows it is probably wanted next."""
        return self.get(start, end, max(end, start + _HEAD_BYTES))

    def get(self, start: int, end: int, until: int = 0) -> bytes:
        """Bytes ``start`` to before ``end``, fetched up to ``until``; :class:`TiffError` when the file ends first."""
        self._check(end)
        missing = max([start, *(last for first, last in self.ranges if first <= start < last)])
        if missing < end:
            until = max(end, until)
            self._ask(missing, until if self._size is None else min(until, self._size))
            self._check(end)
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def all(self) -> Answer:
        """Fetch the whole file."""
        most = FILE_BYTES if self._size is None else self._size
        if most > FILE_BYTES:
            raise SceneRefusedError(f"file {file_name(self.address())} has {most:,} bytes, too many to fetch whole")
        answer = ask(self._line, Ask(self.address(), pixels=True, most_bytes=most, into=self.path))
        self.traffic += answer.traffic
        return answer

    def blank(self, place: Range) -> None:
        """Put zeros in place of some bytes."""
        with self.path.open("r+b") as file:
            file.seek(place[0])
            file.write(bytes(place[1] - place[0]))

    def _check(self, end: int) -> None:
        if self._size is not None and end > self._size:
            raise TiffError(f"ends at byte {self._size}, before byte {end} that it names")

    def _ask(self, start: int, end: int) -> None:
        answer = ask(self._line, Ask(self.address(), part=(start, end), pixels=True, most_bytes=end - start))
        self.traffic += answer.traffic
        if answer.status == WHOLE:
            said = answer.headers.get("content-length", "")
            self._size = int(said) if said.isdecimal() else None
            raise _NoPartsError
        if answer.status >= FIRST_ERROR:
            raise TiffError(f"has no byte {start}")
        self._same(answer)
        with self.path.open("r+b") as file:
            file.seek(start)
            file.write(answer.body)
        self.ranges = merge([*self.ranges, (start, start + len(answer.body))], 0)

    def _same(self, answer: Answer) -> None:
        """Note which file it is at the first answer; every other must be of the same."""
        size = int(answer.headers["content-range"].rpartition("/")[2])
        if self._size is None:
            if size > _MOST_BYTES:
                raise SceneRefusedError(f"file {file_name(self.address())} has {size:,} bytes, more than any scene")
            self._size, self.headers = size, answer.headers
            with self.path.open("r+b") as file:
                file.truncate(size)
        marks = [(self.headers.get(name), answer.headers.get(name)) for name in ("etag", "last-modified")]
        # A server of several machines may leave a mark out; those it gives must agree.
        if size != self._size or any(first != now for first, now in marks if first and now):
            raise _ChangedError
