"""SECURITY.md names its tests, and the rules it states hold one by one."""

import datetime as dt
import json
import re
import time
from pathlib import Path

import pytest

from pipeline.documents import MOST_PARTS, parsed, parsed_yaml
from pipeline.errors import EvidenceError
from pipeline.evidence import read_version
from pipeline.exchange import Ask, _traffic, wished_s
from pipeline.jp2 import wrong_size
from pipeline.ledger import Traffic
from pipeline.printable import is_plain, one_line, plain, shown, unsigned, wrong_address

ROOT = Path(__file__).parents[1]


def test_every_test_that_is_named_exists():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    there = {
        name
        for path in (ROOT / "tests").glob("*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 20
    assert named - there == set()
    files = set(re.findall(r"`((?:tests|products|sources)/\w+\.py|\w+\.py)`", page))
    assert not [f for f in files if not any((ROOT / folder / f).is_file() for folder in (".", "pipeline"))]


# --- text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain", "plain"), ("함흥 port é", "함흥 port é"), ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\nb\tc", "a\\nb\\tc"),
        ("a\u202eb", "a\\u202eb"), ("a\u2066b", "a\\u2066b"), ("a\x9bb", "a\\x9bb"), ("a\u2028b", "a\\u2028b"),
        ("a\u200db", "a\u200db"), ("\ud800", "\\ud800"),
    ],
)  # fmt: skip
def test_control_characters_stand_as_escapes(text, said):
    assert plain(text) == said
    assert plain(plain(text)) == plain(text)
    assert is_plain(text) == (said == text or set(text) <= set("a\nb\tc"))


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://a.b/c?sig=1", "https://a.b/c"), ("https://u:p@a.b/c#x", "https://a.b/c"),
        ("https://a.b/@x", "https://a.b/@x"),
        ("/data/what?/B04.tif", "/data/what?/B04.tif"), ("https://u:p/w@a.b/c", "https://u:p/w@a.b/c"),
    ],
)  # fmt: skip
def test_an_address_is_kept_without_user_query_and_fragment(address, kept):
    assert unsigned(address) == kept


def test_what_is_shown_holds_no_user_however_odd_the_address():
    assert shown("see https://u:p/w@a.b/c?x=1 now\nand") == "see https://a.b/c now and"
    assert one_line(ValueError("\x1b[2J")) == "\\x1b[2J"


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("https://a.b/stac/v1", None), ("http://127.0.0.1:8080/catalog.json", None), ("/data/what?/catalog.json", None),
        ("https://u:p@a.b/c", "names a user"), ("https://u@a.b", "names a user"),
        ("https://a.b:x/c", "neither"), ("https://a.b/c?", "more than a path"),
        ("https://a.b/c?k=1", "more than a path"), ("https://a.b/c#k", "more than a path"), ("https://", "neither"),
        ("file:///etc/passwd", "neither"), ("s3://a/b", "neither"), ("/vsicurl/http://a.b/c", "neither"),
        ("/vsizip/a.zip/c", "neither"), ("//a.b/c", "neither"), ("https://[::1/c", "neither"),
        ("https://a.b\\@c.d/e", "characters"), ("https://a b/c", "characters"), ("/data/\x1b/c", "neither"),
    ],
)  # fmt: skip
def test_which_addresses_a_configuration_may_name(address, wrong):
    said = wrong_address(address)
    assert said is None if wrong is None else wrong in str(said)


# --- documents -----------------------------------------------------------------------------------------------------


def test_text_of_quotes_is_refused_in_no_time():
    """A search for strings that begins anew at each quote takes hours for these two million characters."""
    started = time.monotonic()
    for text in ('\\"' * 1_000_000, '"' + "\\" * 1_000_001, '"' * 1_000_001, '"a' * 1_000_001):
        with pytest.raises(ValueError, match="line 1"):
            parsed(text)
    assert time.monotonic() - started < 5


def test_brackets_in_strings_are_only_characters():
    text = '{"a\\\\": "[[[[{{{{' + "[" * 100 + '\\"]", "b": [1]}'
    assert parsed(text) == {"a\\": "[[[[{{{{" + "[" * 100 + '"]', "b": [1]}


def test_parts_and_depth_are_counted():
    assert parsed("[" * 32 + "]" * 32)
    with pytest.raises(ValueError, match="nested deeper than 32"):
        parsed("[" * 33 + "]" * 33)
    with pytest.raises(ValueError, match="1,000,000 objects and lists"):
        parsed("[" + "[]," * MOST_PARTS + "1]")


@pytest.mark.parametrize(
    ("text", "said"), [('{"a": 1, "a": 2}', "'a' stands twice"), ("[NaN]", "NaN"), ("[-Infinity]", "Inf")]
)
def test_strict_documents_have_keys_once_and_numbers(text, said):
    parsed(text)
    with pytest.raises(ValueError, match=said):
        parsed(text, strict=True)


def test_a_repeated_word_may_be_referred_to():
    assert parsed_yaml("a: &x word\nb: *x\n") == {"a": "word", "b": "word"}
    with pytest.raises(ValueError, match=r"line 2: \*x repeats a list or mapping"):
        parsed_yaml("a: &x [1]\nb: *x\n")


def test_the_files_of_the_project_are_read_as_before():
    for name in ("config.yaml", "aoi/claims.yaml"):
        assert parsed_yaml((ROOT / name).read_text(encoding="utf-8"))


# --- JPEG 2000 -----------------------------------------------------------------------------------------------------


def stream(*numbers):
    return (
        b"\xff\x4f\xff\x51"
        + (47).to_bytes(2)
        + bytes(2)
        + b"".join(number.to_bytes(4) for number in numbers)
        + bytes(9)
    )


@pytest.mark.parametrize(
    ("numbers", "wrong"),
    [
        ((10_980, 10_980, 0, 0, 1024, 1024, 0, 0), None),
        ((10_980, 10_980, 0, 0, 10_980, 10_980, 0, 0), None),
        ((120, 120, 0, 0, 2**31, 2**31, 0, 0), None),
        ((10_980, 10_980, 0, 0, 110, 110, 0, 0), None),
        ((11_001, 11_001, 0, 0, 11_001, 11_001, 0, 0), "tiles of 11001 x 11001"),
        ((10_980, 10_980, 0, 0, 109, 109, 0, 0), "10,201 tiles"),
        ((0, 10, 0, 0, 10, 10, 0, 0), "a size that is none"),
        ((10, 10, 0, 0, 0, 10, 0, 0), "a size that is none"),
        ((10, 10, 20, 0, 10, 10, 0, 0), "a size that is none"),
    ],
)
@pytest.mark.parametrize("before", [b"", (12).to_bytes(4) + b"jP  \r\n\x87\n", (20).to_bytes(4) + b"jp2h" + bytes(12)])
@pytest.mark.parametrize("long", [False, True])
def test_the_size_a_stream_claims_is_read_before_it_is_decoded(numbers, wrong, before, long):
    length = (1).to_bytes(4) + b"jp2c" + (1000).to_bytes(8) if long else bytes(4) + b"jp2c"
    data = before + (length if before else b"") + stream(*numbers)
    said = wrong_size(lambda start, end: data[start:end])
    assert said is None if wrong is None else wrong in str(said)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\0" * 100, (12).to_bytes(4) + b"jP  " * 100, stream(1, 2)[:20]])
def test_what_is_no_stream_is_told(data):
    assert wrong_size(lambda start, end: data[start:end]) == "has no stream of JPEG 2000 where one begins"


# --- replies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "units"), [("2.5", 2.5), ("-1e9", 0.0), ("nan", 0.0), ("inf", 0.0), ("x", 0.0)])
def test_what_a_server_says_a_request_cost_gives_no_budget_back(said, units):
    assert _traffic(1, Ask("https://a.b"), 7, {"x-processingunits-spent": said}) == Traffic(1, 0, 7, units)


@pytest.mark.parametrize("said", ["9" * 400, "9" * 4000, "Fri, 31 Dec 99999 23:59:59 GMT", "²", "-5", "1e9"])
@pytest.mark.parametrize("milliseconds", [True, False])
def test_a_wait_of_ages_is_a_number_or_none(said, milliseconds):
    wish_s = wished_s(said, dt.datetime.now(dt.UTC), milliseconds=milliseconds)
    assert wish_s is None or 0 <= wish_s <= 1e9


@pytest.mark.parametrize("name", ["../blue.tif", "/etc/passwd", "blue.tif/../x.tif", "blue.TIF\0", "", "a\nb.tif"])
def test_a_record_names_no_file_but_its_own(tmp_path, name):
    kept = {"href": "https://a.b/c", "sha256": "0" * 64, "size_bytes": 1}
    record = {"identity": "x", "window": {"bounds_m": [0, 0, 1, 1]}, "files": {"red.tif": kept}}
    folder = tmp_path / "v1"
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(record))
    assert read_version(folder).files["red"].path == folder / "red.tif"
    (folder / "record.json").write_text(json.dumps(record | {"files": {"red.tif": kept, name: kept}}))
    with pytest.raises(EvidenceError, match="is no file of it"):
        read_version(folder)
