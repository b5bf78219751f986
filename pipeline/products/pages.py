"""How pages are set: one environment for all, in which what users wrote is text and never markup."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import jinja2
from markupsafe import Markup, escape

from pipeline.products.assets import TEMPLATES, Assets
from pipeline.products.statements import Statement

_KOREAN = re.compile(r"([\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]+(?:\s+[\u1100-\u11ff\uac00-\ud7ff]+)*)")
_JOINTS = re.compile(
    r"(?<=\d) (?=(?:ha|m²|m³|m|km|%)(?![\w²³]))|(?<=[<>]) (?=\d)|(?<=\d) (?=to [+−]?\d)|(?<=\d to) (?=[+−]?\d)"
)
"""Spaces between a number and its unit, a sign and its number, and the ends of an interval."""


def page_of(name: str, assets: Assets, **said: Any) -> str:
    """Set a template as a page.

    Parameters
    ----------
    name : str
        Of the template.
    assets : Assets
        Styles and scripts inside the page, and its policy.
    **said
        What the template asks for; a name it asks for in vain is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "korean": korean,
        "together": together,
        "breakable": breakable,
        "groupby_place": by_place,
        "underscored": lambda text: "_".join(str(text).split()),
    }
    return environment.get_template(name).render(assets=assets, **said)


def korean(text: str) -> Markup:
    """Escape a text and mark its Korean words as such, so that they are read out and set as Korean."""
    parts = _KOREAN.split(str(text))
    return Markup().join(
        Markup('<span lang="ko">{}</span>').format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def together(text: str) -> str:
    """Keep a number and its unit, and the two ends of an interval, on one line."""
    return _JOINTS.sub("\N{NO-BREAK SPACE}", text)


def breakable(text: str) -> Markup:
    """Escape a text and let a long name break after an underscore."""
    return Markup("_<wbr>").join(escape(part) for part in str(text).split("_"))


def by_place(said: Iterable[Statement]) -> Iterator[tuple[str, list[Statement]]]:
    """Put statements of one place together, in their order."""
    return ((place, list(group)) for place, group in groupby(said, key=lambda s: s.place))
