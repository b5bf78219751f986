"""Method, limits, evidence, operations: every number stands where it is said to, every name in the program."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
NUMBERED = ("method.md", "limits.md")
"""Pages whose every number is cited."""

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]*`")
_NUMBER = re.compile(r"(?<![\w.,])(?<!\w-)(?<!\.)\d[\d,]*(?:\.\d+)?(?![\w])")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def slug(heading: str) -> str:
    """Fragment a heading gets on the usual forges: lower case, no punctuation, hyphens for spaces."""
    plain = _LINK.sub(lambda found: found[0].split("](")[0].lstrip("["), heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def sections(text: str) -> dict[str, str]:
    """Text under each heading down to the next of its level or above, by fragment; the whole page as ''."""
    found, headings = {"": text}, list(_HEADING.finditer(text))
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


def cited(page: str, block: str) -> set[str]:
    """Numbers of all sections a block links to."""
    found: set[str] = set()
    for target in _LINK.findall(block):
        name, _, fragment = target.partition("#")
        if name.endswith(".md") and "://" not in target:
            found |= numbers(sections(((DOCS / page).parent / name).read_text("utf-8"))[fragment].replace("`", " "))
    return found


@pytest.mark.parametrize("page", NUMBERED)
def test_every_number_stands_in_a_section_cited_beside_it(page):
    found = {block[:90]: numbers(block) - cited(page, block) for block in blocks(text_of(page))}
    assert {block: sorted(lost) for block, lost in found.items() if lost} == {}
