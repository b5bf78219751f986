"""Which working copies and logs go, and what is never touched."""

import datetime as dt
import fcntl
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import hashes
from hypothesis import given
from hypothesis import strategies as st

from pipeline import cli
from pipeline.batches import working_copies
from pipeline.batches.past import read_past
from pipeline.batches.retention import KEPT_LOGS, Copy, going, old_logs
from pipeline.batches.status import status_at
from pipeline.batches.working_copies import disk_use, find, make_room, tidy
from pipeline.config import Config, SourceConfig, read_config
from pipeline.errors import InputError, ProductError
from pipeline.memory import Memory
from pipeline.places import check_places
from pipeline.retention_section import RetentionConfig
from pipeline.settings import Settings

DAY = 86_400
copies = st.lists(
    st.builds(
        Copy,
        st.text("abcdef", min_size=1, max_size=4),
        st.sampled_from(["leftover", "memory", "fetch"]),
        st.integers(0, 1000),
        st.floats(0, 4e9),
    ),
    unique_by=lambda copy: copy.path,
)


@given(copies, st.none() | st.integers(0, 5000), st.integers(0, 5000))
def test_no_more_goes_than_must_and_the_oldest_first(found, most, lacking):
    gone = going(found, most, lacking)
    assert set(gone) <= set(found)
    assert len(gone) == len(set(gone))
    stay = [copy for copy in found if copy not in gone]
    assert not [copy for copy in stay if copy.kind == "leftover"]
    chosen = [copy for copy in gone if copy.kind != "leftover"]
    # What stays is within the limit, and enough is freed, unless nothing is left.
    freed, held = sum(c.size_bytes for c in gone), sum(c.size_bytes for c in stay)
    assert not stay or (freed >= lacking and (most is None or held <= most))
    if chosen:
        last = chosen[-1].size_bytes
        assert freed - last < lacking or (most is not None and held + last > most), "the last was needed"
    for kind in ("memory", "fetch"):
        newest = max((c.used for c in chosen if c.kind == kind), default=-1)
        assert all(c.used >= newest for c in stay if c.kind == kind)
    if any(c.kind == "fetch" for c in chosen):
        assert not [c for c in stay if c.kind == "memory"], "what is fetched again goes last"


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 4e9)), unique_by=lambda log: log[0]), st.integers(1, 999)
)
def test_the_newest_logs_stay_whatever_the_clock_said(written, days):
    gone = old_logs(written, days)
    newest = sorted(number for number, _ in written)[-KEPT_LOGS:]
    assert not set(gone) & set(newest)
    assert set(gone) <= {number for number, _ in written}


def nightly(first, count, start):
    return [(first + n, start + n * DAY) for n in range(count)]


def test_logs_are_old_by_other_logs():
    logs = nightly(1, 500, 1e9)
    assert old_logs(logs, 400) == [number for number, when in logs if when < 1e9 + (500 - 15 - 400) * DAY]
    assert old_logs(logs[:100], 400) == []
    # A batch whose clock says 2031, and one whose clock says 1970.
    assert old_logs([*logs[:100], (101, 1.94e9)], 400) == []
    assert old_logs([*logs[:100], (101, 0.0)], 400) == []
    assert old_logs([(1, 0.0), *((n + 1, when) for n, when in logs[:100])], 400) == [1], "as if it had lain for years"


def put(path, size=10, age=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp() - age
    os.utime(path, (when, when))
    return path


@pytest.fixture
def out(tmp_path):
    """A folder of results with everything that may lie there."""
    out = tmp_path / "out"
    keep = [
        "site-a/site-a.gpkg", "site-a/manifest.json", "site-a/runs/0001.json", "site-a/review.gpkg",
        "site-a/notes.part",
        "site-a/composites/2019.tif", "batch.json", "state.sqlite", "portfolio.gpkg", "logs/0001.jsonl", ".lock",
        "evidence/l2a/item/32652_0_0_1_1/v1/blue.tif", "evidence/l2a/item/32652_0_0_1_1/v1/record.json",
        "evidence/l2a/item/32652_0_0_1_1/v1.unreadable-20260101T000000/blue.tif",
        "evidence/l2a/item/32652_0_0_1_1/described/ab.json",
    ]  # fmt: skip
    left = [
        ".work/stockline-site-site-a/maps/score.npy", ".work/stockline-traffic/counts.json",
        ".stockline-gathered/index.html",
        ".batch.json.part/batch.json",
        "site-a/.stockline-rebuilt/report.html", "site-a/.review.gpkg.part/review.gpkg",
        "site-a/runs/.0002.json.part/0002.json",
        f".memory/site-a/join/.part-{32 * 'a'}/score.npy", "evidence/l2a/item/32652_0_0_1_1/.part-cd.records/blue.json",
    ]  # fmt: skip
    for name in keep + left:
        put(out / name)
    for age, site in enumerate(("site-c", "site-a", "site-b")):
        put(out / ".memory" / site / "join" / f"{64 * 'c'}.result", 1000)
        os.utime(out / ".memory" / site, (1e9 - age, 1e9 - age))
    put(out / "evidence/l2a/item/32652_0_0_1_1/.part-ab/green.tif", 100)
    return out, sorted(keep)


def config_of(out, **retention):
    return Config(out=out, source=SourceConfig(url="catalog.json"), retention=RetentionConfig(**retention))


def kept_of(out):
    return sorted(name for name in hashes(out) if not name.startswith(".memory/") and ".part-" not in name)


def test_leftovers_go_and_nothing_else(out):
    out, keep = out
    room = make_room(config_of(out, min_free_gb=0))
    room.needed()
    assert kept_of(out) == keep
    assert list(room.lines) == ["9 leftovers of runs that were killed removed, 0.00 GB"]
    assert sorted(path.name for path in (out / ".memory").iterdir()) == ["site-a", "site-b", "site-c"]
    assert (out / "evidence/l2a/item/32652_0_0_1_1/.part-ab/green.tif").exists()
    assert make_room(config_of(out, min_free_gb=0)).lines == ()


@pytest.mark.parametrize(
    ("most", "left", "fetches"),
    [(3100, "abc", True), (3099, "ac", True), (1100, "c", True), (1000, "", True), (99, "", False), (0, "", False)],
)
def test_memories_go_by_their_last_use_and_fetches_last(most, left, fetches, out):
    out, keep = out
    make_room(config_of(out, min_free_gb=0))
    lines = tidy(config_of(out, max_working_gb=most / 1e9), [])
    assert "".join(path.name[-1] for path in sorted((out / ".memory").iterdir())) == left
    assert (out / "evidence/l2a/item/32652_0_0_1_1/.part-ab").exists() == fetches
    assert kept_of(out) == keep
    assert all("removed" in line for line in lines)
    assert bool(lines) == (left != "abc")


def test_sites_of_the_batch_were_used_now(out):
    out, _ = out
    make_room(config_of(out, min_free_gb=0))
    tidy(config_of(out, max_working_gb=1100 / 1e9), ["site-b", "not-there"])
    assert [path.name for path in (out / ".memory").iterdir()] == ["site-b"]


def test_links_are_neither_followed_nor_removed(out, tmp_path):
    out, _ = out
    theirs = tmp_path / "theirs"
    for name in ("join/ab.result", ".part-x/blue.tif", "runs/.x.part/y"):
        put(theirs / name, 5000)
    before = hashes(theirs)
    (out / ".memory" / "linked").symlink_to(theirs)
    (out / ".memory" / "site-a" / "linked").symlink_to(theirs)
    (out / ".work" / "linked").symlink_to(theirs)
    (out / "site-a" / ".stockline-rebuilt" / "linked").symlink_to(theirs)
    (out / "evidence/l2a/item/linked").symlink_to(theirs)
    (out / "linked").symlink_to(theirs)
    shutil.rmtree(out / ".stockline-gathered")
    (out / ".stockline-gathered").symlink_to(theirs)
    for link in (out / ".memory" / "linked", out / ".work" / "linked", out / ".stockline-gathered"):
        assert str(link) not in {copy.path for copy in find(out, out / "evidence")}
    make_room(config_of(out, min_free_gb=0))
    tidy(config_of(out, max_working_gb=0), [])
    assert hashes(theirs) == before
    assert (out / ".memory" / "linked").is_symlink()


def test_a_folder_of_results_that_is_a_link_is_one(out, tmp_path):
    out, _ = out
    (tmp_path / "link").symlink_to(out)
    assert len(find(tmp_path / "link", tmp_path / "link" / "evidence")) == len(find(out, out / "evidence")) == 13


def test_a_fetch_another_batch_is_at_stays(out):
    out, _ = out
    make_room(config_of(out, min_free_gb=0))
    window = out / "evidence/l2a/item/32652_0_0_1_1"
    with (window / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = tidy(config_of(out, max_working_gb=0), [])
        assert (window / ".part-ab").exists()
    assert lines[-1].startswith("working copies take more than retention.max_working_gb = 0: ")
    tidy(config_of(out, max_working_gb=0), [])
    assert not (window / ".part-ab").exists()


def test_a_batch_makes_room_or_does_not_begin(out, monkeypatch):
    out, keep = out
    free = 2_000

    def usage(_):
        held = sum(copy.size_bytes for copy in find(out, out / "evidence"))
        return shutil._ntuple_diskusage(10_000, 0, free - held)

    monkeypatch.setattr(working_copies.shutil, "disk_usage", usage)
    # 2000 - 80 of leftovers - 3000 - 100: too little until a memory or two are gone.
    room = make_room(config_of(out, min_free_gb=800 / 1e9))
    room.needed()
    assert [path.name for path in (out / ".memory").iterdir()] == ["site-c"]
    assert any("2 sites' working copies" in line for line in room.lines)
    with pytest.raises(ProductError) as refused:
        make_room(config_of(out, min_free_gb=2_500 / 1e9)).needed()
    said = str(refused.value)
    assert "retention.min_free_gb" in said
    assert "GB free" in said
    assert str(out / "evidence" / "l2a") in said
    assert "\n" not in said
    assert kept_of(out) == keep, "evidence and results are not room"


def test_what_space_is_used_for(out):
    out, _ = out
    use = disk_use(out, out / "evidence")
    assert use.working == 10 * 4 + 3 * 1000 + 100, "of .work two files, of .memory three results and a part"
    assert use.evidence == 4 * 10
    assert use.logs == 10
    assert use.largest[0] == (str(out / ".memory"), 3010)
    assert use.free == shutil.disk_usage(out).free
    assert str(use).startswith(f"{use.free / 1e9:.2f} GB free; evidence 0.00, results 0.00")


def test_old_logs_go_after_a_batch(out):
    out, _ = out
    for number in range(1, 61):
        put(out / "logs" / f"{number:04d}.jsonl", age=(60 - number) * DAY)
    put(out / "logs" / "notes.txt", age=999 * DAY)
    (out / "logs" / "0000.jsonl").symlink_to(out / "batch.json")
    lines = tidy(config_of(out, keep_log_days=20), [])
    left = sorted(path.name for path in (out / "logs").iterdir())
    # The middle of the newest 30 is 14 days old.
    assert left == ["0000.jsonl", *(f"{n:04d}.jsonl" for n in range(26, 61)), "notes.txt"]
    assert lines[-1] == "25 logs older than 20 days were removed"


def test_a_refused_batch_is_one_line_and_in_the_books(small, tmp_path, capsys):
    home = Path(shutil.copytree(small, tmp_path / "home"))
    config = yaml.safe_load((home / "config.yaml").read_text())
    (home / "config.yaml").write_text(yaml.safe_dump(config | {"retention": {"min_free_gb": 1e6}}))
    before = hashes(home / "results" / "sim-port")
    assert cli.main(["run", "--config", str(home / "config.yaml"), "--force"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = [line for line in said.err.splitlines() if line.startswith("stockline: ")]
    assert "retention.min_free_gb = 1e+06, not with less: " in line
    assert hashes(home / "results" / "sim-port") == before
    last = max((home / "results" / "logs").iterdir()).read_text().splitlines()
    assert json.loads(last[-1])["event"] == "batch_ended"
    assert "min_free_gb" in json.loads(last[-2])["text"]


KEPT = ("c/i/w/v1/blue.tif", "site.jsonl", "site/a.gpkg", "site.geojson", "f/k.result")
STRANGE = (
    ".work", ".work/mine", ".work/site", ".memory", ".memory/site", ".memory/mine/f", ".gathered", ".rebuilt",
    "notes/.rebuilt", "notes/.stockline-rebuilt", "site/.rebuilt", "site/.mine.part", "notes/.mine.part",
)  # fmt: skip
"""Where somebody may have put what is theirs."""
OURS = (
    f".memory/site/f/{64 * 'a'}.result", ".work/stockline-site-x/x", "evidence/c/i/w/.part-x/b.tif", "site/.x.part/x",
    ".stockline-gathered/x",
)  # fmt: skip


@given(st.lists(st.sampled_from([
    "site/a.gpkg", "evidence/c/i/w/v1/blue.tif", "evidence/c/i/w/v1.unreadable-x/blue.tif", "site/runs/0001.json",
    "site/runs/0001.manifest.json.gz", "site/masks/p.tif", "site/inputs/site.geojson", "site/manifest.json",
    "reviews/site.jsonl", "evidence/c/i/w/described/x.json", "evidence/c/i/w/v1/record.json", "site/my.part",
    *OURS, *(f"{folder}/{name}" for folder in STRANGE for name in KEPT),
]), unique=True))  # fmt: skip
def test_whatever_lies_there_only_working_copies_go(tmp_path_factory, names):
    out = tmp_path_factory.mktemp("any") / "out"
    for name in names:
        put(out / name)
    out.mkdir(exist_ok=True)
    make_room(config_of(out, min_free_gb=0))
    tidy(config_of(out, max_working_gb=0, keep_log_days=1), [])
    assert set(hashes(out, without=())) - {".lock"} == set(names) - set(OURS)


@pytest.mark.parametrize(
    "key", ["store", "reviews", "sites", "claims", "source.url", "source.root", "clear.dem", "custody.sign_key"]
)
@pytest.mark.parametrize(
    "place", [".work/x", ".memory", ".gathered/x", "logs", "site/.rebuilt/x", "site/runs/.stockline-rebuilt", ".x.part"]
)
@pytest.mark.parametrize("linked", [None, "path", "out"])
def test_nothing_is_kept_where_working_copies_are(key, place, linked, small, tmp_path):
    home = Path(shutil.copytree(small, tmp_path / "home"))
    at = home / "results" / place
    at.mkdir(parents=True, exist_ok=True)
    document = yaml.safe_load((home / "config.yaml").read_text()) | {"out": "results"}
    if linked == "path":
        (home / "link").symlink_to(at)
        at = home / "link"
    if linked == "out":
        (home / "elsewhere").symlink_to(home / "results")
        document["out"] = "elsewhere"
    section, _, name = key.rpartition(".")
    if section:
        document[section] = {**document.get(section, {}), name: str(at)}
    else:
        document[name] = str(at)
    (home / "config.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(InputError) as refused:
        Settings.make(read_config(home / "config.yaml"), [])
    said = str(refused.value)
    assert f"{key} = " in said
    assert str(home / "results" / place).startswith(said.partition("lies in ")[2].partition(",")[0])
    assert "name another place" in said
    with pytest.raises(InputError, match="name another place"):
        status_at(home / "config.yaml", None, None, [])


@pytest.mark.parametrize("command", ["run", "plan", "report", "status", "review", "export", "schedule"])
def test_every_command_refuses_them_and_touches_nothing(command, small, tmp_path, capsys):
    home = Path(shutil.copytree(small, tmp_path / "home"))
    config = yaml.safe_load((home / "config.yaml").read_text())
    (home / "config.yaml").write_text(yaml.safe_dump(config | {"reviews": "results/.work/reviews"}))
    put(home / "results/.work/reviews/sim-port.jsonl")
    before = hashes(home)
    more = {
        "export": ["--to", str(tmp_path / "to")],
        "schedule": ["--to", str(tmp_path / "to")],
        "review": ["sim-port"],
    }.get(command, [])
    assert cli.main([command, "--config", str(home / "config.yaml"), *more]) == 2
    assert "reviews = " in capsys.readouterr().err
    assert hashes(home) == before


def test_a_link_to_what_is_kept_is_no_working_folder(tmp_path):
    out = tmp_path / "out"
    put(tmp_path / "store/l2a/site-a/w/v1/blue.tif")
    out.mkdir()
    for target in ("store", "store/l2a"):
        (out / ".memory").symlink_to(tmp_path / target)
        with pytest.raises(InputError, match=r"store = .*lies in .*\.memory"):
            check_places(config_of(out).model_copy(update={"store": tmp_path / "store"}))
        (out / ".memory").unlink()
    (tmp_path / "scratch").mkdir()
    (out / ".memory").symlink_to(tmp_path / "scratch")
    check_places(config_of(out).model_copy(update={"store": tmp_path / "store"}))


@pytest.mark.parametrize("key", ["store", "reviews", "sites", "claims"])
@pytest.mark.parametrize("place", ["results", "results/evidence", "other/.work/x", "home/.config/x", "results/site/x"])
def test_other_places_are_taken(key, place, tmp_path):
    check_places(config_of(tmp_path / "results").model_copy(update={key: tmp_path / place}))


def test_what_a_site_remembers_goes_without_what_others_put_there(tmp_path):
    own = [f"join/{64 * 'a'}.result", f"join/{64 * 'b'}/score.npy", f"join/.part-{32 * 'c'}.record"]
    theirs = ["join/mine.jsonl", "notes.txt", "l2a/item/w/v1/blue.tif"]
    for name in own + theirs:
        put(tmp_path / "site" / name)
    Memory(tmp_path / "site", "code").prune()
    assert sorted(hashes(tmp_path / "site")) == sorted(theirs)
    for name in own:
        put(tmp_path / "site" / name)
    Memory(tmp_path / "site", "code").forget()
    assert sorted(hashes(tmp_path / "site")) == sorted(theirs)


def test_a_run_removes_no_folder_of_others(small, tmp_path):
    home = Path(shutil.copytree(small, tmp_path / "home"))
    theirs = [
        *(f"{folder}/notes.jsonl" for folder in (".work/sim-port", ".work/traffic", ".gathered", "sim-port/.rebuilt")),
        ".memory/sim-port/notes.jsonl",
    ]
    for name in theirs:
        put(home / "results" / name)
    assert cli.main(["run", "--config", str(home / "config.yaml"), "--force"]) == 0
    assert cli.main(["report", "--config", str(home / "config.yaml")]) == 0
    assert [name for name in theirs if not (home / "results" / name).is_file()] == []


@pytest.mark.parametrize("full", ["out", "store"])
def test_room_is_made_on_the_disk_that_lacks_it(full, out, tmp_path, monkeypatch):
    """Two disks: that of the store is full, or that of the results."""
    out, keep = out
    store = tmp_path / "store"
    (out / "evidence").rename(store)
    config = config_of(out, min_free_gb=2_500 / 1e9).model_copy(update={"store": store})

    def of_store(path):
        return Path(path).is_relative_to(store)

    def usage(folder):
        if of_store(folder) != (full == "store"):
            return shutil._ntuple_diskusage(10_000, 0, 9_000)
        held = sum(copy.size_bytes for copy in find(out, store) if of_store(copy.path) == of_store(folder))
        return shutil._ntuple_diskusage(10_000, 0, 2_600 - held)

    monkeypatch.setattr(working_copies.shutil, "disk_usage", usage)
    monkeypatch.setattr(working_copies, "_disk", lambda path: int(of_store(path)), raising=False)
    part = store / "l2a/item/32652_0_0_1_1/.part-ab"
    memories = out / ".memory"
    make_room(config).needed()  # 2600 - 100 is what is asked for, once memories or nothing have gone
    assert part.exists()
    assert sorted(path.name for path in memories.iterdir()) == ([] if full == "out" else ["site-a", "site-b", "site-c"])
    with pytest.raises(ProductError) as refused:
        make_room(config.model_copy(update={"retention": RetentionConfig(min_free_gb=5_000 / 1e9)})).needed()
    assert str(refused.value).startswith(f"{store if full == 'store' else out}: a batch begins with ")
    assert part.exists() == (full == "out")
    assert len(list(memories.iterdir())) == (0 if full == "out" else 3)
    assert kept_of(out) == sorted(name for name in keep if not name.startswith("evidence/"))


def test_a_log_that_cannot_be_made_is_told_as_what_it_is(small, tmp_path, capsys):
    home = Path(shutil.copytree(small, tmp_path / "home"))
    logs = home / "results" / "logs"
    shutil.rmtree(logs)
    logs.write_text("mine")
    assert cli.main(["run", "--config", str(home / "config.yaml")]) == 1
    said = capsys.readouterr().err
    assert f"{logs} is no folder; move it away, then run again" in said
    assert "disk space" not in said
    assert logs.read_text() == "mine"
    failed = read_past(home / "results").batch
    assert failed.exit_status == 1
    assert failed.finished is not None
    logs.unlink()
    assert cli.main(["run", "--config", str(home / "config.yaml")]) == 0
    assert "interrupted" not in capsys.readouterr().err
    assert read_past(home / "results").batch.number == failed.number + 1
