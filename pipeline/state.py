"""How each site of an output folder ended last: what ``stockline status`` tells, without what a run needs."""

import datetime as dt
import json
import os
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.products.atomic import atomic_path

STATE = "batch.json"


def write_state(out: Path, site_id: str, error: str | None, seconds: float) -> None:
    """Remember how a site ended; at once, so that an interruption does not lose it. One call at a time."""
    state = read_state(out)
    state[site_id] = {
        "finished": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ok": error is None,
        "error": error,
        "seconds": seconds,
    }
    with atomic_path(out / STATE) as path:
        path.write_text(json.dumps(state, indent=1, sort_keys=True) + os.linesep, encoding="utf-8")


def read_state(out: Path) -> dict[str, dict[str, object]]:
    """How each site ended last; empty when no batch ran here."""
    path = out / STATE
    if not path.is_file():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProductError(f"{path}: cannot be read ({error}); remove it, the next run writes it anew") from error
    return dict(state)
