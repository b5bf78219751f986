"""JSON and YAML from outside: bounded in size, depth and number before anything walks them. Pure."""

import json
import re
from collections.abc import Hashable, Sequence
from typing import Any

import yaml

from pipeline.printable import is_plain

MOST_CHARACTERS = 64 << 20
"""A page of a hundred items has 5 million."""
MOST_NESTED = 32
"""Polygons of a collection of features lie 8 deep."""
MOST_PARTS = 1_000_000
"""Objects and lists; a page of a hundred items has 40 thousand."""
MOST_YAML = 1 << 20
"""The claims of the project have 9 thousand characters."""
# A string that does not end reaches to the end of the text: begun again at each quote, this would take for ever.
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_SHOWN = 60
_LONG_NUMBER = re.compile(r"[-+.:_0-9a-fA-FxXoOeE]{300,}")


def parsed(text: str, *, strict: bool = False) -> Any:
    """Read a JSON document.

    Parameters
    ----------
    text : str
    strict : bool
        True: also refuse a key that stands twice in one object, and NaN and Infinity, which are no JSON.

    Raises
    ------
    ValueError
        It is no JSON, longer than 64 million characters, nested deeper than 32, or has more than a million parts.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters, more than {MOST_CHARACTERS:,}")
    depth = parts = 0
    for found in _MARK.finditer(text):
        if found[0] in "[{":
            depth, parts = depth + 1, parts + 1
        elif found[0] in "]}":
            depth -= 1
        if depth > MOST_NESTED:
            raise ValueError(f"is nested deeper than {MOST_NESTED}")
        if parts > MOST_PARTS:
            raise ValueError(f"has more than {MOST_PARTS:,} objects and lists")
    if strict:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    return json.loads(text)


def parsed_yaml(text: str) -> Any:
    """Read a YAML document: plain values only.

    Raises
    ------
    ValueError
        It is no YAML, longer than a million characters, nested deeper than 32, holds a key twice in one mapping or a
        value that is none, or refers back to a list or mapping (which a few lines can repeat a billion times).
        Says the line where it can.
    """
    if len(text) > MOST_YAML:
        raise ValueError(f"has {len(text):,} characters, more than {MOST_YAML:,}")
    try:
        _check_events(text)
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (OverflowError, TypeError) as error:
        raise ValueError(f"holds a value that is none ({error})") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice in one object")
    return made


def _check_events(text: str) -> None:
    """Refuse depth, references to more than a word, and endless numbers, before anything is made of them."""
    depth, words = 0, set()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.ScalarEvent):
            words.add(event.anchor)
            if event.implicit[0] and _LONG_NUMBER.fullmatch(event.value):
                raise ValueError(f"line {line}: holds a number of {len(event.value):,} characters")
            if not is_plain(event.value):
                raise ValueError(f"line {line}: holds control characters in {event.value[:_SHOWN]!r}")
        elif isinstance(event, yaml.AliasEvent) and event.anchor not in words:
            raise ValueError(f"line {line}: *{event.anchor} repeats a list or mapping; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_NESTED:
            raise ValueError(f"line {line}: is nested deeper than {MOST_NESTED}")


class _Loader(yaml.SafeLoader):
    """Plain values; of two equal keys the safe loader would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice, first in line {seen[name]}", key.start_mark
                )
            seen[name] = line
        return super().construct_mapping(node, deep)
