"""Sentences of a report as data: ``tables/findings.json``, each with its address there and the rows it rests on."""

from pathlib import Path
from typing import Any

from pipeline.products._documents import TABLES, json_text
from pipeline.products.atomic import atomic_path
from pipeline.products.row_address import address
from pipeline.products.view import Claim, View

FINDINGS = "findings.json"


def write_findings(folder: Path, view: View, site_id: str) -> Path:
    """Write the findings and the claims of a report; the same bytes for the same report.

    Parameters
    ----------
    folder : Path
        Of the site; the file goes into its folder ``tables``.
    view : View
        What the report says.
    site_id : str

    Raises
    ------
    ProductError
        The file could not be written; a former one is untouched.
    """
    about = {"site": site_id, "simulated": view.simulated, "report": "report.html", "title": view.title}
    path = folder / TABLES / FINDINGS
    with atomic_path(path) as beside:
        text = json_text({**about, "findings": findings_of(view), "claims": [_of_claim(c) for c in view.claims]})
        beside.write_text(text, encoding="utf-8", newline="\n")
    return path


def findings_of(view: View) -> list[dict[str, Any]]:
    """Return each sentence of the summary: its address in the report, what it says, the rows it rests on."""
    return [
        {
            "id": said.anchor,
            "place": said.place,
            "title": said.title,
            "sentence": said.text,
            "in_short": said.brief,
            "verdict": said.verdict,
            "figures": [{"name": name, "value": value} for name, value in said.figures],
            "rests_on": list(said.rests_on),
        }
        for said in view.summary
    ]


def _of_claim(claim: Claim) -> dict[str, Any]:
    at = address("claims", claim.claim_id)
    return {"id": at, "quote": claim.quote, "sentence": claim.reason, "verdict": claim.verdict, "rests_on": [at]}
