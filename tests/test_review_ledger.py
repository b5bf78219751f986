"""The ledger of decisions: an append-only chain that shows what was changed, and believes nobody."""

import dataclasses
import datetime as dt
import json
import multiprocessing
import re
import time
from pathlib import Path

import pytest
from review_fixture import DAY, decided, drew, own, square

from pipeline import decision_ledger
from pipeline.decision_ledger import append, ledger_path, read_ledger
from pipeline.errors import ReviewError
from pipeline.review.decisions import MOST_TEXT, sha256_line
from pipeline.review.taking import counting, sort_out

THREE = [decided("accept"), decided("reject", "p2"), drew(square(0, 0, 80), "p3")]


def take(folder, *decisions):
    return append(folder, "site", lambda _: decisions)


def lines_of(folder):
    return ledger_path(folder, "site").read_text("utf-8").splitlines()


def rewrite(folder, lines):
    ledger_path(folder, "site").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_what_is_taken_is_read_back(tmp_path):
    taken = [*THREE, own(square(300, 0)), decided("withdraw", year=2020, reason="mistaken \u2014 see 'note' <b>")]
    take(tmp_path / "new", *taken[:2])
    take(tmp_path / "new", *taken[2:])
    ledger = read_ledger(tmp_path / "new", "site")
    assert [d.said for d in ledger.decisions] == [d.said for d in taken]
    assert [d.line for d in ledger.decisions] == [1, 2, 3, 4, 5]
    assert ledger.decisions[0].machine == THREE[0].machine
    assert read_ledger(tmp_path / "none", "site") == decision_ledger.Ledger()


def test_every_line_holds_the_hash_of_the_one_before_and_older_lines_stay(tmp_path):
    take(tmp_path, *THREE)
    before = lines_of(tmp_path)
    take(tmp_path, decided("reject", reviewed_on=DAY + dt.timedelta(days=1)))
    after = lines_of(tmp_path)
    assert after[:3] == before
    assert [json.loads(line)["previous"] for line in after] == [None, *map(sha256_line, before)]
    assert all(
        line == json.dumps(json.loads(line), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        for line in after
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0].replace("because", "despite"), *lines[1:]], "line 2: does not follow"),
        (lambda lines: [lines[0], lines[2]], "line 2: does not follow"),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1: does not follow"),
        (lambda lines: [*lines, lines[0]], "line 4: does not follow"),
        (lambda lines: [lines[0], "{", *lines[1:]], "line 2: is not JSON"),
        (lambda lines: [lines[0], "", *lines[1:]], "line 2: is not JSON"),
        (lambda lines: [lines[0].replace('"site":"site"', '"site":"other"'), *lines[1:]], "line 1: is of site 'other'"),
    ],
    ids=["changed", "removed", "moved", "repeated", "broken", "blank", "of another site"],
)
def test_a_line_that_was_tampered_with_is_told(tmp_path, change, said):
    take(tmp_path, *THREE)
    rewrite(tmp_path, change(lines_of(tmp_path)))
    with pytest.raises(ReviewError, match=re.escape(said)) as refused:
        read_ledger(tmp_path, "site")
    assert str(ledger_path(tmp_path, "site")) in str(refused.value)
    with pytest.raises(ReviewError, match=re.escape(said)):
        take(tmp_path, decided())


HOSTILE = {
    "nul": {"reason": "a\0b"}, "escape": {"analyst": "\x1b[2J"}, "long": {"reason": "x" * (MOST_TEXT + 1)},
    "turned": {"imagery": "\u202egpj.exe"}, "unknown key": {"run": "rm"}, "unknown kind": {"object": "camp"},
    "unknown choice": {"decision": "approve"}, "no day": {"reviewed_on": "soon"}, "a list": {"object_id": ["p1"]},
    "year": {"year": 10**9}, "no number": {"uncertainty_m": "NaN"}, "negative": {"uncertainty_m": -1},
    "a point": {"outline": {"type": "Point", "coordinates": [1, 2]}},
    "not on the globe": {"outline": {"type": "MultiPolygon", "coordinates": [[[[0, 0], [999, 0], [0, 9], [0, 0]]]]}},
    "crossed": {"outline": {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]]}},
    "no geometry": {"outline": {"type": "MultiPolygon", "coordinates": "x"}},
    "code": {"outline": {"type": "__import__", "coordinates": []}},
    "hash": {"previous": "../../etc/passwd"}, "no hash": {"previous": 7},
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_refused_in_one_line_without_commands(tmp_path, change):
    take(tmp_path, drew(square(0, 0, 80)))
    rewrite(tmp_path, [json.dumps(json.loads(lines_of(tmp_path)[0]) | change)])
    with pytest.raises(ReviewError, match="line 1: ") as refused:
        read_ledger(tmp_path, "site")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


def test_depth_and_size_of_a_ledger_are_bounded(tmp_path, monkeypatch):
    rewrite(tmp_path, ["[" * 100_000])
    with pytest.raises(ReviewError, match="nested deeper"):
        read_ledger(tmp_path, "site")
    monkeypatch.setattr(decision_ledger, "_MOST_BYTES", 1_000)
    rewrite(tmp_path, ["x" * 1_001])
    with pytest.raises(ReviewError, match="more than 1,000 bytes"):
        read_ledger(tmp_path, "site")
    with pytest.raises(ReviewError, match="more than 1,000 bytes"):
        take(tmp_path, decided())


def test_bytes_that_are_no_text_and_a_line_that_does_not_end_are_told(tmp_path):
    take(tmp_path, *THREE)
    path = ledger_path(tmp_path, "site")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ReviewError, match="line 3: is not whole"):
        read_ledger(tmp_path, "site")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ReviewError, match="utf-8"):
        read_ledger(tmp_path, "site")
    path.unlink()
    path.mkdir()
    with pytest.raises(ReviewError, match="no plain file"):
        read_ledger(tmp_path, "site")


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    take(tmp_path, *THREE)
    before = ledger_path(tmp_path, "site").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decision_ledger.os, "fsync", full)
    with pytest.raises(ReviewError, match="No space left"):
        take(tmp_path, decided("reject", "p9"))
    assert ledger_path(tmp_path, "site").read_bytes() == before


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    take(tmp_path, *THREE)
    before = ledger_path(tmp_path, "site").read_bytes()
    foreign = dataclasses.replace(decided().machine, manifest_sha256="not a hash")
    with pytest.raises(ReviewError, match=r"manifest_sha256.*nothing is written"):
        take(tmp_path, decided(machine=foreign))
    assert ledger_path(tmp_path, "site").read_bytes() == before


# --- what a result was made with ---


def test_a_ledger_must_begin_with_the_one_the_present_result_was_made_with(tmp_path):
    take(tmp_path, *THREE)
    named = read_ledger(tmp_path, "site").sha256
    assert len(read_ledger(tmp_path, "site", named).decisions) == 3
    take(tmp_path, decided("reject", "p9"))
    lines = lines_of(tmp_path)
    assert len(read_ledger(tmp_path, "site", named).decisions) == 4
    for fewer in (2, 1, 0):
        rewrite(tmp_path, lines[:fewer])
        with pytest.raises(ReviewError, match=r"site\.jsonl: does not begin with the decisions .* restore"):
            read_ledger(tmp_path, "site", named)
        with pytest.raises(ReviewError, match="does not begin with"):
            append(tmp_path, "site", lambda _: [decided()], named)
        assert lines_of(tmp_path) == lines[:fewer]
    ledger_path(tmp_path, "site").unlink()
    with pytest.raises(ReviewError, match=r"site\.jsonl: is not there, .* restore"):
        read_ledger(tmp_path, "site", named)
    with pytest.raises(ReviewError, match="is not there"):
        append(tmp_path, "site", lambda _: [decided()], named)
    assert not ledger_path(tmp_path, "site").exists()
    with pytest.raises(ReviewError, match="is not there"):
        read_ledger(tmp_path / "elsewhere", "site", named)


def test_the_place_of_the_ledgers_must_be_a_folder(tmp_path):
    file, leads_nowhere = tmp_path / "file", tmp_path / "link"
    file.write_text("", encoding="utf-8")
    leads_nowhere.symlink_to(tmp_path / "gone")
    for wrong in (file, leads_nowhere):
        with pytest.raises(ReviewError, match="is no folder; set `reviews` to the folder of the ledgers"):
            read_ledger(wrong, "site")
        with pytest.raises(ReviewError, match="is no folder"):
            take(wrong, decided())
    ledger_path(tmp_path, "site").symlink_to(tmp_path / "gone")
    with pytest.raises(ReviewError, match="no plain file"):
        read_ledger(tmp_path, "site")


def _take_one(folder: Path, number: int) -> None:
    def slow(former):
        time.sleep(0.02)
        return [decided(object_id=f"p{number}", reason=f"after {len(former)}")]

    append(folder, "site", slow)


def test_readings_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=_take_one, args=(tmp_path, number)) for number in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    taken = read_ledger(tmp_path, "site").decisions
    assert sorted(d.object_id for d in taken) == [f"p{number}" for number in range(8)]
    assert [d.reason for d in taken] == [f"after {count}" for count in range(8)]


# --- what is new, and what counts ---


def test_reading_twice_adds_nothing_and_a_changed_mind_adds_a_line():
    first = sort_out([], THREE)
    assert first.new == tuple(THREE)
    assert sort_out(THREE, THREE).new == ()
    changed = decided("reject", reason="looked again")
    again = sort_out(THREE, [changed, *THREE[1:]])
    assert again.new == again.changed == (changed,)
    assert [d.choice for d in counting([*THREE, changed])] == ["reject", "edit", "reject"]


def test_an_old_copy_of_a_file_changes_nothing():
    newer = decided("reject", reviewed_on=DAY + dt.timedelta(days=2))
    found = sort_out([decided("accept"), newer], [decided("accept")])
    assert found.older == (decided("accept"),)
    assert not found.new


def test_the_same_reviewer_typed_otherwise_is_one_reviewer():
    spelled = [decided(analyst="Kim  Jae"), decided("reject", analyst="kim jae ")]
    assert [d.choice for d in counting(spelled)] == ["reject"]


def test_a_withdrawn_decision_does_not_count_and_nothing_is_withdrawn_that_was_not_said():
    assert counting([decided(), decided("withdraw")]) == []
    assert [d.choice for d in counting([decided(), decided("withdraw"), decided("reject")])] == ["reject"]
    assert sort_out([], [decided("withdraw")]).new == ()


def test_one_row_keeps_one_key_whatever_is_chosen():
    """The edit is of the year of our outline, 2022, and its row still says nothing of a year."""
    edit = drew(square(0, 0, 80), year=None)
    assert edit.of_year == 2022
    for later in (decided("reject"), decided("accept"), decided("unclear")):
        assert sort_out([edit], [later]).new == (later,)
        assert counting([edit, later]) == [later]
    taken_back = decided("withdraw")
    assert sort_out([edit], [taken_back]).new == (taken_back,)
    assert counting([edit, taken_back]) == []


def test_a_withdrawal_without_a_year_takes_back_all_years_of_one_reviewer_and_object():
    held = [
        decided("reject", year=2021),
        decided("accept", "p2"),
        decided("accept", analyst="Lee"),
        drew(square(0, 0, 80)),
    ]
    taken_back = decided("withdraw", reviewed_on=DAY + dt.timedelta(days=1))
    assert sort_out(held, [taken_back]).new == sort_out(held, [taken_back]).changed == (taken_back,)
    assert counting([*held, taken_back]) == held[1:3]
    assert counting([*held, decided("withdraw", year=2021)]) == held[1:]
    old = decided("withdraw", reviewed_on=DAY - dt.timedelta(days=1))
    assert sort_out(held, [old]).older == (old,)
    assert sort_out([*held, taken_back], [held[0]]).older == (held[0],), "an old copy brings nothing back"


@pytest.mark.parametrize("order", [1, -1])
def test_a_withdrawal_for_all_years_beside_a_decision_on_one_is_read_once(order):
    held = [decided("reject"), decided("accept", year=2021)]
    rows = [decided("withdraw"), held[1]][::order]
    first = sort_out(held, rows).new
    assert counting([*held, *first]) == [held[1]], "of one day, what names its year stands"
    assert sort_out([*held, *first], rows).new == ()
