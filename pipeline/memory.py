"""What the tasks of one site gave, by the content of what they were given; kept from run to run.

    <out>/.memory/<site>/<function>/<key>.result    what a task returned, after its own hash
    <out>/.memory/<site>/<function>/<key>/...       files it wrote, whose hashes are in the record

The key is a hash over the code, the libraries, the function and its arguments: settings by their values, pixels by
their SHA-256, files of other tasks by the content of all that those wrote. So a file that comes out as before changes
nothing that rests on it. A record is written last and trusted only while every hash agrees. The folder is no product
and may be removed at any time.
"""

import contextlib
import hashlib
import io
import json
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.config import Config
from pipeline.digest import digest
from pipeline.evidence import sha256_file
from pipeline.findings import PreparedScene
from pipeline.imagery import StoredScene
from pipeline.parallel import Pool
from pipeline.places import forget, remembered
from pipeline.products.manifest import settings_of

Out = TypeVar("Out")

NOT_OF_TASKS = ("years", "stats", "volume", "max_season_shift_days")
"""Settings that no task reads: the flow itself does (tests/test_memory.py holds the tasks to it)."""
_RESULT = ".result"
_HASH_BYTES = 32
_OURS = ("pipeline.", "models.")
_OTHERS = {
    ("builtins", "slice"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("shapely.io", "from_wkb"),
}
"""What a record may be made of beside our own records: none of it acts when it is made."""


@dataclass(frozen=True)
class Entry:
    """What one task gave: the hashes of its files by name, and what it returned, encoded."""

    files: Mapping[str, str]
    returned: bytes

    @property
    def content(self) -> bytes:
        """Hash of all files."""
        return digest(self.files)


class Memory:
    """The memory of one site; used by one thread.

    Parameters
    ----------
    folder : Path
        Where it is kept; workers see it too.
    made_by : str
        Code and libraries (:func:`pipeline.products.software.made_with`).
    """

    def __init__(self, folder: Path, made_by: str) -> None:
        self.folder = folder
        self._made_by = made_by
        self._told: dict[int, tuple[object, bytes]] = {}
        self._scenes: dict[bytes, StoredScene] = {}
        self._content: dict[tuple[str, ...], bytes] = {}
        self._needed: set[Path] = set()

    def map(
        self,
        pool: Pool,
        function: Callable[..., Out],
        items: Iterable[Any],
        *shared: Any,
        files: bool = False,
        passing: bool = False,
        prepare: Callable[[Sequence[Any]], Sequence[Any]] = list,
    ) -> list[Out]:
        """Results of ``function(item, *shared)`` for every item, in order; only what is not remembered is computed.

        Parameters
        ----------
        pool : Pool
        function : callable
            Of a module; its result depends on its arguments alone, and the only paths in it are of files it wrote.
        items, shared : any
            Whose content can be told (:func:`pipeline.digest.digest`); paths are those of other results only.
        files : bool
            The function writes files: into a folder of its own, which it is given as its last argument.
        passing : bool
            No later run needs these results: they go with :meth:`prune`.
        prepare : callable
            Makes, of the items that are not remembered, what the function is given in their place: it must follow
            from them and from what is shared.
        """
        folder = self.folder / function.__name__
        listed = list(items)
        known = digest([self._made_by, function.__module__, function.__qualname__, list(shared), files], self._known)
        keys = [digest([known, item], self._known).hex() for item in listed]
        if not passing:
            self._needed.update(folder / key for key in keys)
        found = {key: self._recall(folder / key) for key in dict.fromkeys(keys)}
        lacking = {key: item for key, item in zip(keys, listed, strict=True) if found[key] is None}
        if lacking:
            given = zip(lacking, prepare(list(lacking.values())), strict=True)
            made = pool.map(Task(function, self.folder, files), list(given), *shared)
            found |= {key: self._decoded(folder / key, entry) for key, entry in zip(lacking, made, strict=True)}
        return [one[0] for key in keys if (one := found[key]) is not None]

    def one(self, pool: Pool, function: Callable[..., Out], *arguments: Any, files: bool = False) -> Out:
        """Return the result of a single call; see :meth:`map`."""
        first, *shared = arguments
        (result,) = self.map(pool, function, [first], *shared, files=files)
        return result

    def earlier(self, function: Callable[..., Out], fits: Callable[[Out], bool]) -> Out | None:
        """Return any result of a function, whatever it was made from, that serves as well; None where none fits."""
        for record in sorted((self.folder / function.__name__).glob(f"*{_RESULT}")):
            place = record.with_name(record.name.removesuffix(_RESULT))
            known = self._recall(place)
            if known is not None and fits(known[0]):
                self._needed.add(place)
                return known[0]  # type: ignore[no-any-return]
        return None

    def forget(self) -> None:
        """Remove everything."""
        with contextlib.suppress(OSError):
            forget(self.folder)

    def prune(self) -> None:
        """Remove what this run did not need; to be called when it is finished."""
        for path in remembered(self.folder):
            if path.with_name(path.name.removesuffix(_RESULT)) in self._needed:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _known(self, value: Any) -> bytes | None:
        """Hash of what is not hashed field by field: settings, our files, and scenes, which come again and again."""
        if isinstance(value, Path):
            entry, name = value.relative_to(self.folder).parts[:2], value.relative_to(self.folder).as_posix()
            return digest([name.removeprefix("/".join(entry)), self._content[entry]])
        if not isinstance(value, StoredScene | PreparedScene | Config):
            return None
        # The object is kept with its hash: another could take its place in memory, and its id.
        told = self._told.get(id(value))
        if told is None:
            told = self._told[id(value)] = value, self._fresh(value)
        return told[1]

    def _fresh(self, value: StoredScene | PreparedScene | Config) -> bytes:
        if isinstance(value, Config):
            settings = settings_of(value)
            return digest({name: settings[name] for name in settings if name not in NOT_OF_TASKS})
        found = digest(value, lambda inner: None if inner is value else self._known(inner))
        if isinstance(value, StoredScene):
            self._scenes[found] = value
        return found

    def _recall(self, place: Path) -> tuple[Any] | None:
        """Return the result that is kept at a place; None where there is none that can be trusted."""
        try:
            raw = _result(place).read_bytes()
            if hashlib.sha256(raw[_HASH_BYTES:]).digest() != raw[:_HASH_BYTES]:
                return None
            files, _, returned = raw[_HASH_BYTES:].partition(b"\n")
            entry = Entry(json.loads(files), returned)
            if _hashes(place) != entry.files:
                return None
            return self._decoded(place, entry)
        except (OSError, pickle.UnpicklingError):
            return None

    def _decoded(self, place: Path, entry: Entry) -> tuple[Any]:
        self._content[place.relative_to(self.folder).parts] = entry.content
        return (_Decoder(entry.returned, place, self._scenes).load(),)


class Task(Generic[Out]):
    """A function whose results are kept as soon as they are there; named as it; ``root`` of the memory.

    No dataclass: a record of the memory could then make one, and have it called.
    """

    def __init__(self, func: Callable[..., Out], root: Path, files: bool) -> None:
        self.func, self.root, self.files = func, root, files
        self.__name__ = func.__name__

    def __call__(self, keyed: tuple[str, Any], *shared: Any) -> Entry:
        """Compute the result of an item under its key, and write it: its files, then its record."""
        key, item = keyed
        place = self.root / self.func.__name__ / key
        # Nobody else writes here, not even one who computes the same because this one seemed lost.
        beside = place.with_name(f".part-{uuid.uuid4().hex}")
        record = beside.with_name(f"{beside.name}.record")
        (beside if self.files else beside.parent).mkdir(parents=True, exist_ok=True)
        try:
            result = self.func(item, *shared, beside) if self.files else self.func(item, *shared)
            entry = Entry(_hashes(beside), _encoded(result, beside))
            body = json.dumps(dict(entry.files)).encode() + b"\n" + entry.returned
            if self.files:
                shutil.rmtree(place, ignore_errors=True)
                beside.rename(place)
            record.write_bytes(hashlib.sha256(body).digest() + body)
            record.replace(_result(place))
        finally:
            record.unlink(missing_ok=True)
            if self.files:
                shutil.rmtree(beside, ignore_errors=True)
        return entry


def _result(place: Path) -> Path:
    return place.with_name(place.name + _RESULT)


def _hashes(folder: Path) -> dict[str, str]:
    """Name to SHA-256 of every file below a folder, in order; nothing where there is no folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _encoded(result: object, own: Path) -> bytes:
    written = io.BytesIO()
    _Encoder(written, own).dump(result)
    return written.getvalue()


class _Encoder(pickle.Pickler):
    """Writes a result; of a scene its hash, of a file its name: those who read it have the scene, and the folder."""

    def __init__(self, file: io.BytesIO, own: Path) -> None:
        super().__init__(file, protocol=5)
        self.own = own

    def persistent_id(self, value: Any) -> tuple[str, Any] | None:
        if isinstance(value, StoredScene):
            return "scene", digest(value)
        if isinstance(value, Path):
            # A file of another result may be gone when this one is still good: it is known by its content alone.
            return "own", value.relative_to(self.own).as_posix()
        return None


class _Decoder(pickle.Unpickler):
    """Reads a result; makes our records and plain values, and calls nothing else whatever the file says."""

    def __init__(self, returned: bytes, own: Path, scenes: Mapping[bytes, StoredScene]) -> None:
        super().__init__(io.BytesIO(returned))
        self.own, self.scenes = own, scenes

    def persistent_load(self, known_as: tuple[str, Any]) -> Any:
        kind, name = known_as
        if kind == "scene":
            return self.scenes[name]
        path: Path = self.own / name
        if ".." in path.parts or not path.is_relative_to(self.own):
            raise pickle.UnpicklingError(f"{name} is no file of this result")
        return path

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith(_OURS) or (module, name) in _OTHERS else None
        if (module, name) in _OTHERS or (isinstance(found, type) and is_dataclass(found)):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no record")
