"""The documents of the method that go into every archive: of the checkout, or of the installed package."""

from collections.abc import Iterator
from pathlib import Path

import pipeline
from pipeline.errors import ProductError
from pipeline.export.entries import Entry, of_file

METHOD = "method/"
"""Folder of the archive."""
_PACKAGE = Path(pipeline.__file__).parent
_DOCUMENTS = (
    ("docs/method.md", "How numbers are made, from scene to verdict"),
    ("docs/limits.md", "What the numbers cannot show"),
    ("docs/evidence.md", "How evidence is kept, and how to check it"),
    ("docs/science.md", "Formulas, thresholds and their sources"),
    ("docs/accuracy.md", "Accuracy against known truth"),
    ("docs/contract.md", "Every file, layer and column"),
    ("docs/review.md", "What reviewers decide, and how that is kept"),
    ("docs/recompute.py", "Measures areas of piles again from the pixels, with public libraries only"),
    ("LICENSE", "Licence of the program"),
)
"""Path in the checkout, and what it is."""


def method_documents() -> Iterator[Entry]:
    """Give the documents; :class:`ProductError` where this installation lacks one."""
    # A wheel carries them inside the package; a checkout has them beside it.
    inside = _PACKAGE / "export" / "method"
    for name, about in _DOCUMENTS:
        path = inside / Path(name).name if inside.is_dir() else _PACKAGE.parent / name
        if not path.is_file():
            raise ProductError(f"{path}: is missing from this installation; nothing is exported: install it anew")
        yield of_file(f"{METHOD}{path.name}", "document", about, path)
