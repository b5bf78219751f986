"""What is asked of a comparison, and its answer: text for a reader, or one JSON document."""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.errors import InputError
from pipeline.products.difference.inputs import KeptRun, differences
from pipeline.products.difference.kept import lone_sites, pairs, read_run
from pipeline.products.difference.lines import Comparison, lines
from pipeline.products.difference.moves import Move, moves_of
from pipeline.products.difference.steps import steps
from pipeline.products.difference.why import Why, why
from pipeline.products.difference.words import difference_name, number_name, step_name

FORMAT = 1


def compare_runs(before: KeptRun, after: KeptRun) -> Comparison:
    """Hold two runs of a site against each other; :class:`InputError` when they are of different sites."""
    sites = before.manifest.site, after.manifest.site
    if sites[0] != sites[1]:
        raise InputError(f"run {before.number} is of site {sites[0]}, run {after.number} of {sites[1]}; name one site")
    roots = differences(before, after)
    ways, compared = steps(before, after, roots), moves_of(before.numbers, after.numbers)
    return Comparison(before, after, roots, ways, compared, why(compared, roots, ways))


def comparisons(before: str, after: str) -> Iterator[Comparison]:
    """Compare two runs, or the newest runs of all sites of two folders; errors as of :mod:`.kept`."""
    for _, (old, new) in pairs(before, after):
        yield compare_runs(read_run(old), read_run(new))


def answer(before: str, after: str, *, as_json: bool, everything: bool) -> Iterator[str]:
    """Say line by line what moved between two runs and what can have moved it.

    Parameters
    ----------
    before, after : str
        Each a site's folder, its run ``FOLDER@3``, or both the folder of all sites.
    as_json : bool
        One document in place of words: every number that moved, with all digits.
    everything : bool
        Of words: also what the summary of a report does not speak of.

    Raises
    ------
    InputError
        There is no such run, or the runs are of different sites.
    ProductError
        What was kept of a run is missing, or is not as recorded.
    """
    gone, new = lone_sites(before, after)
    if as_json:
        sites = [document_of(comparison) for comparison in comparisons(before, after)]
        document = {"format": FORMAT, "sites": sites, "only_before": gone, "only_after": new}
        # In ASCII: names and reasons of strangers reach a terminal too.
        yield from json.dumps(document, indent=1, sort_keys=True).splitlines()
        return
    for comparison in comparisons(before, after):
        yield from lines(comparison, everything=everything)
    for name in gone:
        yield f"{name}: only in {before}; not compared"
    for name in new:
        yield f"{name}: only in {after}; not compared"


def document_of(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON."""
    names = comparison.names
    return {
        "site": comparison.after.manifest.site,
        "simulated": comparison.after.manifest.simulated,
        "before": _run(comparison.before),
        "after": _run(comparison.after),
        "differences": [
            {
                "id": number,
                "kind": root.kind,
                "name": root.name,
                "how": root.how,
                "before": root.before,
                "after": root.after,
                "said": difference_name(root),
            }
            for number, root in enumerate(comparison.roots, start=1)
        ],
        "steps": [
            {
                "id": number,
                "kind": step.kind,
                "name": step.name,
                "before": step.before,
                "after": step.after,
                "said": step_name(step, names),
            }
            for number, step in enumerate(comparison.steps, start=1)
        ],
        "moves": [
            {**_move(move, reason), "name": number_name(move, names)}
            for move, reason in zip(comparison.compared.moves, comparison.why, strict=True)
        ],
        "same": comparison.compared.same,
        "same_in_shown_digits_only": [move.address for move in comparison.compared.finer],
    }


def _run(run: KeptRun) -> dict[str, Any]:
    record = run.record
    return {"run": run.number, "finished": record.finished, "manifest_sha256": record.manifest_sha256}


def _move(move: Move, reason: Why) -> dict[str, Any]:
    """Return a number that moved, with every column that differs."""
    before, after = move.before or {}, move.after or {}
    columns = {name: [before.get(name), after.get(name)] for name in {**before, **after}}
    return {
        "address": move.address,
        "layer": move.layer,
        "kind": move.kind,
        "verdict": None if move.verdict is None else list(move.verdict),
        "columns": {name: pair for name, pair in columns.items() if pair[0] != pair[1]},
        "shown": {one.field.called or "number": [one.before, one.after] for one in move.said},
        "causes": [place + 1 for place in reason.causes],
        "less_directly": [place + 1 for place in reason.less],
        "steps": [place + 1 for place in reason.steps],
        "certain": reason.certain,
        "by_tests_alone": reason.by_tests,
    }
