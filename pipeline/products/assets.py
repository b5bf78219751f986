"""Scripts and styles inside a page, each under the hash by which the page's policy lets it act; nothing is loaded.

The policy of a page forbids all but these: a script in a text of users, should one ever get past the escaping,
has no hash in it and does not run. Data for the scripts are JSON in which no character can end the element.
"""

import hashlib
import importlib.util
import json
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2.utils import htmlsafe_json_dumps

from pipeline.errors import ProductError

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Assets:
    """What acts in a page: styles and scripts in their order, and the policy that names them."""

    styles: tuple[str, ...]
    scripts: tuple[str, ...]

    @property
    def policy(self) -> str:
        """Content security policy of the page."""
        styles, scripts = (" ".join(map(_source, texts)) or "'none'" for texts in (self.styles, self.scripts))
        return (
            f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; font-src data:; "
            "base-uri 'none'; form-action 'none'"
        )


def template(name: str) -> str:
    """Return a text of the folder of templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def leaflet() -> tuple[str, str]:
    """Return the style and the script of Leaflet, without what would ask for a file beside them.

    Raises
    ------
    ProductError
        The package that carries them is not installed.
    """
    # Not imported: the package names itself through a module of setuptools that is gone.
    found = importlib.util.find_spec("xstatic")
    folders = [Path(place) / "pkg/leaflet/data" for place in (found.submodule_search_locations or ())] if found else []
    folder = next((place for place in folders if (place / "leaflet.js").is_file()), None)
    if folder is None:
        raise ProductError("the package XStatic-Leaflet is missing; install the requirements of this program again")
    style, script = ((folder / f"leaflet.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    # Pictures of markers and of a control that the map does not have, and a behaviour of an old browser.
    style = re.sub(r"^[^\n]*\burl\((?!\s*[\"']?data:)[^\n]*\n", "", style, flags=re.MULTILINE)
    return style, re.sub(r"^//# sourceMappingURL=.*$", "", script, flags=re.MULTILINE)


def json_element(data: Any) -> str:
    """Return data as JSON that may stand inside a script element: no text in it can end the element or the line."""
    return str(htmlsafe_json_dumps(data, dumps=_compact))


def _compact(data: Any, **_: Any) -> str:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))


def _source(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
