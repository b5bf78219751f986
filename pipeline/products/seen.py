"""Whether a year lacks images or something else: no sentence puts on the imagery what it is not to blame for. Pure."""

from pipeline.records import MeasurementRow
from pipeline.rules import WHOLE_SEEN

REVIEWED = "reviewed_"
"""What the name of a metric begins with that takes in the decisions of reviewers."""


def seen_whole(row: MeasurementRow) -> bool:
    """Whether the images of a year show the zone as a whole, as it is measured: then it does not lack images."""
    return row.valid_fraction >= WHOLE_SEEN


def in_part(row: MeasurementRow) -> str:
    """Say what a partial number is a part of."""
    return "not every pile could be outlined" if seen_whole(row) else "only part of the area was seen"
