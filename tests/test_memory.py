"""What is remembered is computed once, and nothing is remembered that is not what would be computed."""

import ast
import datetime as dt
import pickle
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from shapely import MultiPolygon, Point, box

from pipeline import memory as module
from pipeline.config import BoundaryConfig, ClearConfig, Config, SourceConfig, YearsConfig
from pipeline.findings import Observation, PreparedScene
from pipeline.imagery import Calibration, Item, Scene, StoredBand, StoredScene
from pipeline.memory import NOT_OF_TASKS, Memory
from pipeline.parallel import SerialPool, open_pool
from pipeline.types import Grid

ROOT = Path(__file__).parents[1]
GRID = Grid(32652, 300_000.0, 4_400_000.0, 6, 4)
POOL = SerialPool()


class Counting(SerialPool):
    """A pool that remembers what it was asked to do."""

    def __init__(self) -> None:
        self.done = []

    def map(self, function, items, *shared):
        listed = list(items)
        self.done += [item for _, item in listed]
        return super().map(function, listed, *shared)


@pytest.fixture
def pool():
    return Counting()


@pytest.fixture
def memory(tmp_path):
    return Memory(tmp_path / "memory", "code 1")


def again(memory, made_by="code 1"):
    """Give the memory as the next run finds it."""
    return Memory(memory.folder, made_by)


def add(number, more, config=None):
    return number + more


def refuse(number, more):
    if number == 2:
        raise ValueError("no such number")
    return number + more


def write(number, folder):
    (folder / "maps").mkdir()
    (folder / "maps" / "a.npy").write_bytes(bytes([number // 10]))
    (folder / "beside.txt").write_text("beside")
    return folder / "maps"


def size(path, note):
    return sum(p.stat().st_size for p in path.rglob("*")), note


def scene(name="s", **changed):
    day = dt.datetime(2020, 5, 1, 2, 16, tzinfo=dt.UTC)
    item = Item(name, "c", day, None, None, None, 32652, None, box(0, 0, 1, 1), {}, document={"big": "?sig=secret"})
    band = StoredBand("red", f"/data/{name}.tif", name * 64, 9, "https://a/1", "copy", None, None, None)
    stored = StoredScene(Scene(name, day, None, None, None, (item,)), ((band,),))
    return PreparedScene(replace(stored, **changed), Calibration(), 0.0, used=True)


def shifted(prepared, more):
    return replace(prepared, calibration=replace(prepared.calibration, shift_x_m=more))


def test_only_what_is_not_known_is_computed(memory, pool):
    assert memory.map(pool, add, [1, 2, 2, 3], 10) == [11, 12, 12, 13]
    assert pool.done == [1, 2, 3]
    assert again(memory).map(pool, add, [3, 4, 1], 10) == [13, 14, 11]
    assert pool.done == [1, 2, 3, 4]


def test_nothing_is_asked_of_the_pool_when_all_is_known(memory):
    memory.map(POOL, add, [1], 10)
    assert again(memory).map(None, add, [1], 10) == [11]
    assert again(memory).map(None, add, [], 10) == []


CONFIG = Config()
OTHERWISE = [
    ("code", "code 2", (10, CONFIG)),
    ("what is shared", "code 1", (11, CONFIG)),
    ("a setting", "code 1", (10, Config(min_dates=7))),
    ("a setting of a section", "code 1", (10, Config(boundary=BoundaryConfig(shore_m=31)))),
    ("where pixels come from", "code 1", (10, Config(source=SourceConfig(raw_dn=None)))),
]


@pytest.mark.parametrize(("made_by", "shared"), [o[1:] for o in OTHERWISE], ids=[o[0] for o in OTHERWISE])
def test_other_code_and_other_settings_know_nothing(made_by, shared, memory, pool):
    memory.map(POOL, add, [1], 10, CONFIG)
    again(memory, made_by).map(pool, add, [1], *shared)
    assert pool.done == [1]


def test_another_function_knows_nothing(memory, pool):
    memory.map(POOL, add, [1], 10)
    again(memory).map(pool, refuse, [1], 10)
    assert pool.done == [1]


NO_MATTER = [
    Config(out=Path("elsewhere")),
    Config(source=SourceConfig(max_concurrent=1)),
    Config(years=YearsConfig(first=2018, last=2026)),
]


@pytest.mark.parametrize("config", NO_MATTER, ids=["folder", "manners", "years"])
def test_what_no_task_reads_changes_nothing(config, memory):
    memory.map(POOL, add, [1], 10, CONFIG)
    assert again(memory).map(None, add, [1], 10, config) == [11]


def test_the_content_of_the_elevation_model_counts(memory, pool, tmp_path):
    dem = tmp_path / "dem.tif"
    for content in (b"one", b"one", b"two"):
        dem.write_bytes(content)
        again(memory).map(pool, add, [1], 10, Config(clear=ClearConfig(dem=str(dem))))
    assert pool.done == [1, 1]


def test_tasks_read_none_of_the_settings_left_out():
    """Passes, and what they call with settings, never name a section that is not in their key."""
    told = {"run.py", "config.py", "settings.py", "pile_tables.py", "cli.py"}
    found = []
    for path in (ROOT / "pipeline").rglob("*.py"):
        where = path.relative_to(ROOT / "pipeline")
        if path.name in told or where.parts[0] in {"sources", "products", "review", "validation", "batches"}:
            continue
        found += [
            f"{where}:{node.lineno} reads {ast.unparse(node)}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and node.attr in NOT_OF_TASKS and "config" in ast.unparse(node.value)
        ]
    assert found == []


def test_what_was_done_before_an_error_is_kept(memory, pool):
    with pytest.raises(ValueError, match="no such number"):
        memory.map(POOL, refuse, [1, 2, 3], 10)
    assert again(memory).map(pool, refuse, [1, 3], 10) == [11, 13]
    assert pool.done == [3]
    assert not list(memory.folder.rglob(".part-*"))


def test_files_are_kept_with_what_was_returned(memory, pool):
    (path,) = memory.map(POOL, write, [11], files=True)
    assert (path / "a.npy").read_bytes() == b"\x01"
    later = again(memory)
    assert later.map(None, write, [11], files=True) == [path]
    assert later.map(pool, size, [path], "note") == [(1, "note")]


def test_a_file_that_comes_out_as_before_changes_nothing_that_rests_on_it(memory, pool):
    paths = memory.map(POOL, write, [11, 12, 21], files=True)
    assert len(set(paths)) == 3
    memory.map(pool, size, paths, "note")
    assert len(pool.done) == 2, "11 and 12 gave the same files"


def test_a_memory_may_be_moved(memory, tmp_path):
    memory.map(POOL, size, memory.map(POOL, write, [11], files=True), "note")
    memory.folder.rename(tmp_path / "moved")
    moved = Memory(tmp_path / "moved", "code 1")
    (path,) = moved.map(None, write, [11], files=True)
    assert path.is_relative_to(tmp_path / "moved")
    assert moved.map(None, size, [path], "note") == [(1, "note")]


def test_a_path_that_is_no_result_is_refused(memory, tmp_path):
    with pytest.raises(ValueError, match="is not in the subpath"):
        memory.map(POOL, size, [tmp_path], "note")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def another_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def emptied(path):
    path.write_bytes(b"")


DAMAGES = {
    "record cut short": ("write/*.result", cut_short),
    "record changed": ("write/*.result", another_byte),
    "record empty": ("write/*.result", emptied),
    "record gone": ("write/*.result", Path.unlink),
    "file changed": ("write/*/maps/a.npy", another_byte),
    "file cut short": ("write/*/beside.txt", cut_short),
    "file gone": ("write/*/beside.txt", Path.unlink),
    "folder gone": ("write/*/maps", shutil.rmtree),
    "file more": ("write/*/maps", lambda path: (path / "b.npy").write_bytes(b"x")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_result_is_computed_again(damage, memory, pool):
    memory.map(POOL, write, [11], files=True)
    pattern, act = DAMAGES[damage]
    (path,) = memory.folder.glob(pattern)
    act(path)
    (path,) = again(memory).map(pool, write, [11], files=True)
    assert pool.done == [11]
    assert sorted(p.name for p in path.parent.rglob("*")) == ["a.npy", "beside.txt", "maps"]
    assert (path / "a.npy").read_bytes() == b"\x01"
    assert again(memory).map(None, write, [11], files=True) == [path]


def test_a_first_and_a_later_run_return_the_same_bytes(memory):
    shape = MultiPolygon([box(0, 0, 1, 1 / 3)])
    seen = Observation("s", dt.date(2020, 5, 1), shape, 0.1 + 0.2, np.float64(1 / 3), float("nan"), -0.0, 1.0)
    first, second = (m.map(POOL, told, [seen]) for m in (memory, again(memory)))
    assert pickle.dumps(first) == pickle.dumps(second) == pickle.dumps([(seen, np.arange(3), slice(1, None))])


def told(value):
    return value, np.arange(3), slice(1, None)


def test_scenes_are_not_written_but_named(memory):
    """A record holds no copy of what a provider says, which is large and may carry a token; the caller's is given."""
    before = scene()
    memory.map(POOL, shifted, [before], 2.5)
    (path,) = memory.folder.glob("shifted/*.result")
    assert b"secret" not in path.read_bytes()
    assert path.stat().st_size < 1000
    now = scene(fetched=7)
    (found,) = again(memory).map(None, shifted, [now], 2.5)
    assert found.stored is now.stored
    assert found.calibration.shift_x_m == 2.5


def test_a_scene_with_other_pixels_is_another(memory, pool):
    memory.map(pool, shifted, [scene("a"), scene("b")], 2.5)
    assert [s.stored.scene.scene_id for s in pool.done] == ["a", "b"]


def test_what_is_prepared_is_prepared_for_what_is_lacking(memory):
    asked = []

    def prepared(numbers):
        asked.append(list(numbers))
        return [-number for number in numbers]

    memory.map(POOL, add, [1, 2], 10, prepare=prepared)
    assert again(memory).map(POOL, add, [1, 2, 3], 10, prepare=prepared) == [9, 8, 7]
    assert asked == [[1, 2], [3]]


def test_what_the_last_finished_run_did_not_need_is_removed(memory, pool):
    memory.map(POOL, write, [11, 21], files=True)
    memory.map(POOL, add, [1], 10)
    (memory.folder / "write" / f".part-{32 * '0'}").mkdir()
    later = again(memory)
    (kept,) = later.map(None, write, [11], files=True)
    later.map(POOL, add, [5], 10, passing=True)
    later.prune()
    names = sorted(p.relative_to(memory.folder).as_posix() for p in memory.folder.glob("*/*"))
    assert names == [f"write/{kept.parent.name}", f"write/{kept.parent.name}.result"]
    assert again(memory).map(None, write, [11], files=True) == [kept]


def test_an_earlier_result_may_serve_whatever_it_was_made_from(memory, pool):
    memory.map(POOL, write, [11, 21], files=True)
    later = again(memory, "code 2")
    assert later.earlier(add, lambda _: True) is None
    assert later.earlier(write, lambda _: False) is None
    path = later.earlier(write, lambda path: (path / "a.npy").read_bytes() == b"\x02")
    assert later.map(pool, size, [path], "note") == [(1, "note")]
    later.prune()
    assert [p.parent for p in memory.folder.glob("write/*/maps")] == [path.parent], "kept, the other is not"
    another_byte(path / "a.npy")
    assert again(memory).earlier(write, lambda _: True) is None


def test_nothing_is_known_after_forgetting(memory, pool):
    memory.map(POOL, add, [1], 10)
    later = again(memory)
    later.forget()
    later.map(pool, add, [1], 10)
    assert pool.done == [1]


@dataclass(frozen=True)
class Stranger:
    value: int


def stranger(number):
    return Stranger(number)


def outside(path):
    return path


def test_a_result_that_is_no_record_of_ours_fails_at_once(memory):
    with pytest.raises(pickle.UnpicklingError, match="no record"):
        memory.map(POOL, stranger, [1])


def test_a_file_of_another_result_is_no_result(memory):
    """It may be removed while one of the same content takes its place: only the caller knows where that is."""
    paths = memory.map(POOL, write, [11], files=True)
    with pytest.raises(ValueError, match="is not in the subpath"):
        memory.map(POOL, outside, paths)


class Act:
    """What a hostile record holds: read by a plain unpickler it writes a file."""

    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


class Leads:
    def __init__(self, name) -> None:
        self.name = name


def hostile(value):
    """Encode a value as a record is, by any means."""

    class Encoder(pickle.Pickler):
        def persistent_id(self, one):
            return ("own", one.name) if isinstance(one, Leads) else None

    file = module.io.BytesIO()
    Encoder(file, protocol=5).dump(value)
    return file.getvalue()


@pytest.mark.parametrize("what", ["call", "path up", "path from the root", "task"])
def test_a_hostile_record_does_nothing(what, memory, pool, tmp_path):
    memory.map(POOL, add, [1], 10)
    (path,) = memory.folder.glob("add/*.result")
    mark = tmp_path / "mark"
    value = {
        "call": Act(mark),
        "path up": Leads("../../x"),
        "path from the root": Leads("/etc/passwd"),
        "task": module.Task,
    }[what]
    body = b"{}\n" + hostile(value)
    path.write_bytes(module.hashlib.sha256(body).digest() + body)
    assert again(memory).map(pool, add, [1], 10) == [11]
    assert pool.done == [1]
    assert not mark.exists()


@pytest.mark.slow
def test_workers_remember_too(memory):
    with open_pool(2) as pool:
        assert memory.map(pool, shifted, [scene("a"), scene("b")], 2.5) == [shifted(scene(n), 2.5) for n in "ab"]
        assert [p.name for p in memory.map(pool, write, [11, 21], files=True)] == ["maps", "maps"]
    assert again(memory).map(None, shifted, [scene("a"), scene("b")], 2.5)[1] == shifted(scene("b"), 2.5)


def test_points_are_exact(memory):
    first, second = (m.map(POOL, point, [1 / 3]) for m in (memory, again(memory)))
    assert first[0].x == second[0].x == 1 / 3


def point(x):
    return Point(x, 0.1)
