"""Sheets of cases as PNG: worst errors, misses and false alarms."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from pipeline.validation.cases import Case, worst

_SHEETS = (("error", "largest errors of area"), ("miss", "piles not found"), ("false", "listed, but no pile"))
_COLUMNS, _COUNT = 5, 10
_TRUE, _REPORTED = "#ffd400", "#00b7ff"


def draw_cases(cases: Sequence[Case], folder: Path) -> list[Path]:
    """Write a sheet for each kind that has cases; true outlines yellow, reported ones blue."""
    written = []
    for kind, title in _SHEETS:
        chosen = worst(cases, kind, _COUNT)
        if not chosen:
            continue
        rows = -(-len(chosen) // _COLUMNS)
        with mpl.rc_context({"svg.hashsalt": "stockline", "font.size": 7}):
            figure = Figure(figsize=(2.3 * _COLUMNS, 2.75 * rows + 0.4), layout="constrained")
            figure.suptitle(f"SIMULATED implants: {title}; true yellow, reported blue, 440 m wide", fontsize=9)
            for place, case in enumerate(chosen):
                axes = figure.add_subplot(rows, _COLUMNS, place + 1)
                high, wide = case.image.shape[:2]
                axes.imshow(case.image, interpolation="nearest", extent=(0, wide, high, 0))
                for lines, colour in ((case.true, _TRUE), (case.reported, _REPORTED)):
                    for line in lines:
                        axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=1.1)
                axes.set_xlim(0, wide)
                axes.set_ylim(high, 0)
                axes.set_axis_off()
                axes.set_title(case.text, fontsize=6.5)
            path = folder / f"{kind}.png"
            figure.savefig(path, dpi=110, metadata={"Software": None})
            written.append(path)
    return written
