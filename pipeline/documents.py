"""JSON from outside: bounded in size and depth before anything walks it. Pure."""

import json
import re
from typing import Any

MOST_CHARACTERS = 64 << 20
"""A page of a hundred items has 5 million."""
MOST_NESTED = 32
"""Polygons of a collection of features lie 8 deep."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")


def parsed(text: str) -> Any:
    """Read a JSON document.

    Raises
    ------
    ValueError
        It is no JSON, longer than 64 million characters, or nested deeper than 32.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters, more than {MOST_CHARACTERS:,}")
    depth = 0
    for found in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if found[0] in "[{" else -1
        if depth > MOST_NESTED:
            raise ValueError(f"is nested deeper than {MOST_NESTED}")
    return json.loads(text)
