"""Reasons as the layers hold them into text for readers: units, signs and numbers of the language. Pure."""

import re

_FORMS = (
    (re.compile(r"(?<=\d )m2\b"), "m²"),
    (re.compile(r"(?<![\w.,)-])-(?=\d)"), "−"),
    (
        re.compile(r"confounded with (processing baseline|platform|relative orbit) (.+?) -> (.+?) in (?=\d{4})"),
        r"not told apart from a change of \1 from \2 to \3 in ",
    ),
    (re.compile(r"\bswir16\b"), "short-wave infrared at 1.6 µm"),
    (re.compile(r"\bswir22\b"), "short-wave infrared at 2.2 µm"),
    (re.compile(r"(?<![\d.,])1 ((?:comparable |usable )?(?:adequate )?(?:test )?)(year|date)s\b"), r"1 \1\2"),
)
"""In the layers words are those of programs, which read them too; a document says them in the language."""


def legible(text: str) -> str:
    """Write units, minus signs, steps and single numbers the way the rest of a document does.

    Parameters
    ----------
    text : str
        A reason or note of a layer; no text of a user.

    Returns
    -------
    str
        The same numbers, to the digit.
    """
    for form, written in _FORMS:
        text = form.sub(written, text)
    return text


def span(first: int, last: int) -> str:
    """``2018 to 2023``, or the one year."""
    return str(first) if first == last else f"{first} to {last}"
