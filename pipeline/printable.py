"""Words of strangers, fit to be shown: on one line, without control characters, and without what opens a door. Pure."""

import re
import unicodedata
from urllib.parse import urlsplit

_MAX_SHOWN = 160
_HELD = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that move a cursor, start a command of a terminal, or turn the direction of reading."""
_JOINERS = "\u00ad\u200c\u200d"
"""Of the same categories, but a part of words: soft hyphen, and what joins and parts letters."""
_USER = re.compile(r"://[^\s/?#]*@")
_BEGINS = r"(?<![^\s'\"(=\[])"
_PATH = re.compile(rf"{_BEGINS}(?:file://)?/(?=\S)(?:[^:;,'\"()\n]*/)?")
"""An absolute path up to its last part; a folder's name may hold blanks."""
_ANY_USER = re.compile(r"://\S*@")


def plain(text: str) -> str:
    r"""Text in which control characters stand as escapes (``\x1b``), so that a terminal or a page only shows them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _is_held(c) else c for c in text)


def is_plain(text: str) -> bool:
    """Whether a text that may have several lines holds no other control character."""
    return (text.isascii() and text.isprintable()) or not any(_is_held(c) and c not in "\n\r\t" for c in text)


def _is_held(character: str) -> bool:
    return unicodedata.category(character) in _HELD and character not in _JOINERS


def wrong_address(address: str) -> str | None:
    """Say why a configuration may not name an address; None when it may.

    What stands in it is read by every worker, and shown and written where results are: it must open nothing.
    """
    if "://" not in address:
        return None if is_plain(address) and not address.startswith(("/vsi", "//")) else "is neither http(s) nor a path"
    try:
        parts = urlsplit(address)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return "is neither http(s) nor a path"
    checks = (
        (not named, "is neither http(s) nor a path"),
        (not is_plain(address) or re.search(r"[\s\\<>\"]", address), "holds characters that no address has"),
        (
            "@" in parts.netloc,
            "names a user; results would show it: leave it out, credentials come from the environment",
        ),
        (
            re.search(r"[?#]", address),
            "has more than a path; results would show what stands behind ? or #: leave it out",
        ),
    )
    return next((text for fails, text in checks if fails), None)


def unsigned(href: str) -> str:
    """Return an address without user, query and fragment: what opens a door never reaches a file of ours."""
    return _USER.sub("://", re.split(r"[?#]", href, maxsplit=1)[0]) if "://" in href else href


def shown(text: str) -> str:
    """Text on one line, cut to a readable length, without the user or query of any address in it."""
    words = (_ANY_USER.sub("://", word.split("?", maxsplit=1)[0]) for word in text.split())
    return plain(" ".join(words)[:_MAX_SHOWN])


def unplaced(text: str, folder: str) -> str:
    """Text for others to read: paths below a folder as of there, other absolute paths of this machine by name only."""
    below = re.sub(rf"{_BEGINS}(?:file://)?{re.escape(folder.rstrip('/'))}/(?=\S)", "", text)
    return _PATH.sub("", below)


def one_line(error: BaseException) -> str:
    """Say an error on one line; see :func:`shown`."""
    return shown(str(error)) or type(error).__name__
