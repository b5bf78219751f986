"""What a reader is told of a column: its name in words, its unit, its meaning, the words of its values.

Stands in the annotation of the record's field and nowhere else: forms in QGIS, exports and their schema read it there.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, TypeAlias


@dataclass(frozen=True)
class Told:
    """How a column is told to a reader.

    Attributes
    ----------
    alias : str
        Its name in words, without the unit.
    unit : str
        ``m``, ``m2``, ``m3``; ``1`` for a share, a probability or a reflectance; empty where there is none, or where
        another column of the row holds it.
    technical : bool
        True for what a form need not show; it stays in the file and in every export.
    meaning : str
        One line: what a value says, where it is not plain from the name.
    values : tuple of (str, str)
        Words of the contract the column may hold, and how they are shown; empty where it may hold anything.
    """

    alias: str
    unit: str = ""
    technical: bool = False
    meaning: str = ""
    values: tuple[tuple[str, str], ...] = ()


VERDICTS = (
    ("increase", "Increase"),
    ("decrease", "Decrease"),
    ("no_detectable_change", "No detectable change"),
    ("insufficient_data", "Insufficient data"),
)
CLAIM_VERDICTS = (
    ("supported", "Supported"),
    ("contradicted", "Contradicted"),
    ("not_detectable", "Not detectable"),
    ("not_observable", "Not observable"),
)
OFFSET_VERDICTS = (
    ("consistent", "Consistent"),
    ("corrected", "Corrected"),
    ("quarantined", "Quarantined"),
    ("undecidable", "Undecidable"),
)
STATUSES = (
    ("ok", "Measured"),
    ("partial", "Measured in part"),
    ("insufficient_data", "Insufficient data"),
    ("not_assessed", "Not assessed"),
)
TIERS = (("confirmed", "Confirmed by review"), ("probable", "Probable"), ("candidate", "Candidate (not counted)"))
CLASSES = (
    ("bare_or_built", "Bare or built ground"),
    ("dark_ground", "Dark ground (coal, spoil, tar)"),
    ("other_cleared", "Cleared for a short time"),
)
GROUND_CHANGES = (
    ("certain_gain", "Certain gain"),
    ("possible_gain", "Possible gain"),
    ("certain_loss", "Certain loss"),
    ("possible_loss", "Possible loss"),
)
ROLES = (
    ("site", "Whole site"),
    ("inside", "Inside the reference"),
    ("adjacent", "Adjacent ring"),
    ("outside", "Outside"),
    ("control", "Control"),
    ("named", "Named zone"),
)
SITE_ROLES = (
    ("aoi", "Ground analysed"),
    ("perimeter", "Sourced perimeter"),
    ("zone", "Named zone"),
    ("control", "Control"),
    ("exclude", "Never measured"),
    ("yard", "Known stockyard"),
)
METRICS = (
    ("stockpile_area_m2", "Stockpile area"),
    ("stockpile_count", "Number of stockpiles"),
    ("footprint_area_m2", "Occupied ground"),
    ("boundary_gain_m2", "Ground newly occupied"),
    ("footprint_area_minus_control_m2", "Occupied ground minus controls"),
    ("reviewed_stockpile_area_m2", "Stockpile area after review"),
    ("reviewed_stockpile_count", "Number of stockpiles after review"),
)
REVIEW_STATES = (
    ("accepted", "Accepted"),
    ("rejected", "Rejected"),
    ("edited", "Outline drawn anew"),
    ("contested", "Contested: reviewers disagree"),
    ("unclear", "Cannot tell"),
)
REVIEW_KINDS = (
    ("pile", "Pile found by us"),
    ("ground", "Gain of ground found by us"),
    ("own_perimeter", "Own perimeter"),
    ("own_pile", "Own pile"),
    ("own_yard", "Own yard"),
)
DECISIONS = (
    ("accept", "Accept"),
    ("reject", "Reject"),
    ("edit", "Edit: outline drawn anew"),
    ("unclear", "Cannot tell: that year is not judged"),
    ("own", "Own outline"),
    ("withdraw", "Withdraw"),
)

SiteId: TypeAlias = Annotated[str, Told("Site", technical=True, meaning="Id of the site file")]
ZoneId: TypeAlias = Annotated[str, Told("Zone", meaning="Id of the zone, as in the layer zones")]
PileId: TypeAlias = Annotated[
    str, Told("Pile", meaning="The same through the years: easting and northing of its deepest pixel in tens of metres")
]
SceneId: TypeAlias = Annotated[str, Told("Scene", meaning="One acquisition, as the provider names it")]
Year: TypeAlias = Annotated[int, Told("Year", meaning="Calendar year of the dates")]
YearStart: TypeAlias = Annotated[dt.date, Told("Season from", meaning="First day of the year's windows")]
YearEnd: TypeAlias = Annotated[dt.date, Told("Season to", meaning="Last day of the year's windows")]
YearFrom: TypeAlias = Annotated[int, Told("Earlier year", meaning="First of the two years compared")]
YearTo: TypeAlias = Annotated[int, Told("Later year", meaning="Second of the two years compared")]
AnyMetric: TypeAlias = Annotated[str, Told("Metric", meaning="What is measured", values=METRICS)]
Unit: TypeAlias = Annotated[str, Told("Unit", meaning="Of the value: m2, or 1 for a count")]
ChangeVerdict: TypeAlias = Annotated[
    str,
    Told(
        "Verdict",
        meaning="Increase or decrease only where the 95 % interval excludes 0 and the q-value is small enough",
        values=VERDICTS,
    ),
]
Reason: TypeAlias = Annotated[
    str | None, Told("Reason", meaning="Why there is no verdict, or what the reader must know of it")
]
PValue: TypeAlias = Annotated[
    float | None, Told("p-value", unit="1", technical=True, meaning="Of the test of no change")
]
QValue: TypeAlias = Annotated[
    float | None,
    Told(
        "q-value", unit="1", technical=True, meaning="p-value adjusted for the number of tests (Benjamini and Hochberg)"
    ),
]
Pixels: TypeAlias = Annotated[
    int, Told("Pixels", technical=True, meaning="Steady pixels: the median number that is clear in a scene")
]
Scenes: TypeAlias = Annotated[int, Told("Scenes", meaning="Number of scenes")]
Band: TypeAlias = Annotated[str, Told("Band", meaning="Common name of the band")]
