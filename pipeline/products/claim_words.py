"""What a claim was tested by, and what came of it, with names in place of ids. Pure."""

import re

from pipeline.products.results import Results
from pipeline.products.spelling import legible, span
from pipeline.products.wording import listed, metric_title


def named(text: str, results: Results) -> str:
    """Write the zones of a reason of a claim by their names."""
    for zone_id in (name for name in results.zone_ids if ":" in name):
        text = results.zone_name(zone_id).join(re.split(rf"(?<![\w:-]){re.escape(zone_id)}(?![\w:-])", text))
    return text


def in_names(text: str, results: Results) -> str:
    """Write what a claim was tested by with the names of metric and zones: the layer holds their ids."""
    match = re.fullmatch(r"(\w+) in (.+?), (\d{4})-(\d{4})(.*)", text, flags=re.DOTALL)
    if match is None:
        return legible(text)
    metric, zones, first, last, rest = match.groups()
    places = listed([results.zone_name(zone) for zone in zones.split(", ")])
    return f"{metric_title(metric)}, {places}, {span(int(first), int(last))}{legible(rest)}"
