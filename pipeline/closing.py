"""The end of a batch."""

from collections.abc import Sequence

from pipeline.books import Books, Outcome
from pipeline.config import Config


def close_batch(outcomes: Sequence[Outcome], config: Config, books: Books) -> list[Outcome]:
    """End a batch."""
    books.end(1 if any(outcome.error is not None for outcome in outcomes) else 0)
    return []
