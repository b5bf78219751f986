"""Method, limits, evidence, operations: every number stands where it is said to, every name is one of the program."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.cli import _parser
from pipeline.config import Config

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NUMBERED = ("method.md", "limits.md")
"""Pages whose every number is cited."""
PAGES = (*NUMBERED, "evidence.md", "operations.md")
LINKING = sorted({*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "aoi" / "README.md"})

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")
_NUMBER = re.compile(r"(?<![\w.,])(?<!\w-)\d[\d,]*(?:\.\d+)?(?![\w])")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def slug(heading: str) -> str:
    """Fragment a heading gets on the usual forges: lower case, no punctuation, hyphens for spaces."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def sections(text: str) -> dict[str, str]:
    """Text under each heading down to the next of its level or above, by fragment; the whole page as ''."""
    found, headings = {"": text}, list(_HEADING.finditer(_FENCE.sub(lambda m: m[0].replace("#", "~"), text)))
    for place, heading in enumerate(headings):
        later = (h.start() for h in headings[place + 1 :] if len(h[1]) <= len(heading[1]))
        found[slug(heading[2])] = text[heading.start() : next(later, len(text))]
    return found


def blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, items and rows; an indented formula belongs to the paragraph around it."""
    text = re.sub(r"\n\n(    .*\n(?:    .*\n)*)\n(?=\S)", r"\n\1", text)
    for paragraph in re.split(r"\n\s*\n", text):
        if not paragraph.startswith("#"):
            yield from re.split(r"\n(?=- |\| )", paragraph)


def numbers(text: str) -> set[str]:
    """Numbers of a text but 0, years, and those of links, code and names such as S2A; 30.0 is 30."""
    plain = _YEAR.sub(" ", _CODE.sub(" ", _LINK.sub(" ", text)))
    return {f"{float(number.replace(',', '')):.10g}" for number in _NUMBER.findall(plain)} - {"0"}


def cited(block: str) -> set[str]:
    """Numbers of all sections a block links to, those in code too."""
    found: set[str] = set()
    for target in _LINK.findall(block):
        name, _, fragment = target.partition("#")
        if name.endswith(".md"):
            found |= numbers(sections((DOCS / name).read_text("utf-8"))[fragment].replace("`", " "))
    return found


@pytest.mark.parametrize("page", NUMBERED)
def test_every_number_stands_in_a_section_cited_beside_it(page):
    found = {block[:90]: numbers(block) - cited(block) for block in blocks(text_of(page))}
    assert {block: sorted(lost) for block, lost in found.items() if lost} == {}


def test_the_method_can_be_read_in_a_sitting():
    assert len(text_of("method.md").split()) <= 2000


def test_what_counts_as_a_number():
    assert numbers("97.3 and 2,352 in 2018 of Sentinel-2, S2A, [science 2.1](x.md#21) `0.4`, -0.7 and 27 700") == {
        "97.3", "2352", "0.7", "27", "700",
    }  # fmt: skip


@pytest.mark.parametrize("page", LINKING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_to_a_section_lands(page):
    lost = []
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        name, _, fragment = target.partition("#")
        at = page if not name else page.parent / name
        if fragment and "://" not in target and at.suffix == ".md":
            lost += [] if fragment in sections(at.read_text("utf-8")) else [target]
    assert lost == []


def commands(text: str) -> Iterator[list[str]]:
    """Words of every call of the program in a text, in fences and in code within lines."""
    lines = [line for fence in _FENCE.findall(text) for line in fence.splitlines()]
    for said in (*lines, *(code.strip("`") for code in _CODE.findall(_FENCE.sub("", text)))):
        call = re.match(r"(?:[$>] )?(?:\S*/)?stockline( .*)?$", said.split(" #")[0].strip())
        if call and call[1]:
            yield shlex.split(re.sub(r"[\[\]|]|\.\.\.", " ", call[1]))


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page):
    known = next(a.choices for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    lost = []
    for name, *words in commands(text_of(page)):
        options = known[name]._option_string_actions if name in known else {}
        lost += [name] if name not in known else []
        lost += [f"{name} {word}" for word in words if word.startswith("-") and word.split("=")[0] not in options]
    assert lost == []


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield prefix + name, None
            yield from keys_of(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field.default


@pytest.mark.parametrize("page", PAGES)
def test_settings_named_exist(page):
    known = dict(keys_of(Config))
    of_sections = {key.partition(".")[0] for key in known if "." in key}
    named = re.findall(r"`([a-z_]+\.[a-z_0-9]+)(?: = [^`]*|: [^`]*)?`", text_of(page))
    keys = [key for key in named if key.partition(".")[0] in of_sections and not key.endswith((".json", ".jsonl"))]
    assert [key for key in keys if key not in known] == []


def test_every_setting_of_a_server_is_described():
    known = dict(keys_of(Config))
    kept = {key for key in known if key.partition(".")[0] in {"batch", "custody", "notify", "retention"} and "." in key}
    page = text_of("operations.md")
    assert {key for key in kept if f"`{key}`" not in page} == set()
    said = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE))
    said = {key: value for key, value in said.items() if key in known}
    shown = {key: "none" if known[key] is None else str(known[key]).removesuffix(".0") for key in said}
    assert len(said) > len(kept)
    assert said == shown


def fragments() -> str:
    """All text constants of the program, those of an f-string with a line feed for each value."""
    found = []
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append("".join(v.value if isinstance(v, ast.Constant) else "\n" for v in node.values))
    return "\n\n".join(found)


def test_messages_are_those_of_the_program():
    table = sections(text_of("operations.md"))["by-message"]
    said = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    program = fragments()
    lost = [m for m in said if not all(part.strip() in program for part in m.split("...") if part.strip())]
    assert lost == []
    assert len(said) > 10


@pytest.mark.slow
def test_files_named_are_there(port_results):
    folder = port_results / "sim-port"
    table = sections(text_of("evidence.md"))["what-lies-where"]
    cells = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    only_sometimes = {"inputs/reviews.jsonl", "runs/NNNN.json.sig", "runs/NNNN.json.tsr"}
    lost = []
    for name in named:
        pattern = name.replace("<site>", "sim-port").replace("NNNN", "[0-9]*").replace("<pile>", "*").rstrip("/")
        lost += [] if name in only_sometimes or list(folder.glob(pattern)) else [name]
    assert len(named) > 10
    assert lost == []
