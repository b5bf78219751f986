"""A chain as indented text: what a reader follows from a sentence to the bytes a provider sent. Pure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.products.links import Chain, FileLink, PlacedFile, RowLink, SceneLink

_SHOWN = 2
"""Of the things a row rests on, of scenes and of files, so many are shown unless all are asked for."""
_STEP = "  "
_STATES = {"agrees": "agrees", "differs": "DIFFERS FROM ITS HASH", "missing": "IS NOT HERE"}
_NAMES = {
    "stockpile_observations": "dates",
    "stockpiles": "piles",
    "measurements": "numbers",
    "changes": "changes",
    "scenes": "scenes",
    "footprints": "classes of ground",
    "boundary_changes": "changes of ground",
    "reviews": "decisions of reviewers",
}
_MADE = {"median": "the median of the dates", "sum": "the sum of the piles"}


def lines_of(chain: Chain, *, everything: bool = False) -> list[str]:
    """Return a chain as lines.

    Parameters
    ----------
    chain : Chain
    everything : bool
        False: of what is many only the first are shown, and how many more there are.
    """
    said = _Text(chain, everything)
    return [*said.head(), *said.tree(), *said.scenes(), *said.vouched(), *said.ends()]


def json_of(chain: Chain) -> str:
    """Return a chain as a JSON document, all of it."""
    return json.dumps(asdict(chain), indent=1, allow_nan=False)


@dataclass
class _Text:
    """A chain under way to text; ``met`` are the scenes that rows on show rest on."""

    chain: Chain
    everything: bool
    met: dict[str, None] = field(default_factory=dict)
    _written: set[str] = field(default_factory=set)

    def head(self) -> Iterator[str]:
        of = self.chain
        mark = "SIMULATED " if of.simulated else ""
        if of.sentence is None:
            yield f"{mark}{of.site}: row {of.asked}"
            return
        yield f"{mark}{of.site}: sentence {of.sentence.id} of report.html"
        yield f"{_STEP}{of.sentence.title}: {of.sentence.text}"
        yield f"{_STEP}verdict: {of.sentence.verdict or 'none'}"

    def tree(self) -> Iterator[str]:
        rows = self.chain.rows
        below = {at for start in self.chain.start for at in rows[start].rests_on}
        yield from self._rows([at for at in self.chain.start if at not in below], 1, of_many=False)

    def _rows(self, addresses: Sequence[str], depth: int, *, of_many: bool = True) -> Iterator[str]:
        """Rows and what they rest on; scenes are told of further down."""
        by_layer: dict[str, list[str]] = {}
        for at in addresses:
            by_layer.setdefault(self.chain.rows[at].layer, []).append(at)
        for layer, every in by_layer.items():
            shown, left = self._first(every) if of_many else (every, 0)
            if layer == "scenes" and depth > 1:
                self.met |= dict.fromkeys(shown)
                scenes = ", ".join(at.partition("/")[2] for at in shown)
                yield f"{_STEP * depth}{_all_scenes(len(every))}: {scenes}{f' and {left} more' if left else ''}"
                continue
            for at in shown:
                yield from self._row(at, depth)
            if left:
                yield f"{_STEP * depth}and {left} more {_NAMES.get(layer, 'rows')}; --all shows them"

    def _row(self, at: str, depth: int) -> Iterator[str]:
        link = self.chain.rows[at]
        if at in self._written:
            yield f"{_STEP * depth}{at}: see above"
            return
        self._written.add(at)
        yield f"{_STEP * depth}{at}"
        inner = depth + 1
        for line in _ROWS.get(link.layer, _plain_row)(link):
            yield f"{_STEP * inner}{line}"
        for made in (made for made in self.chain.made if made.address == at):
            yield f"{_STEP * inner}it is {_MADE[made.by]} below ({len(made.of)})"
        for outline in (o for o in self.chain.outlines if o.address == at):
            masks = outline.masks
            if masks is None:
                yield f"{_STEP * inner}masks of pile {outline.pile_id}: NOT HERE"
            else:
                bands = f"band {masks.object_band} the year's pixels, band {masks.usable_band} the date's usable ones"
                yield f"{_STEP * inner}{_placed(masks)}: {bands}; outlined at level {outline.outline_level:g}"
        yield from self._rows(link.rests_on, inner)

    def scenes(self) -> Iterator[str]:
        """Scenes that stand above, and their files."""
        of_chain = {scene.address: scene for scene in self.chain.scenes.values()}
        if not of_chain:
            return
        wanted = list(of_chain) if self.everything or not self.met else list(self.met)
        shown, _ = self._first(wanted)
        yield "Scenes"
        for at in shown:
            yield from self._scene(of_chain[at])
        if len(shown) < len(of_chain):
            yield f"{_STEP}and {len(of_chain) - len(shown)} more scenes; --all shows them"

    def _scene(self, scene: SceneLink) -> Iterator[str]:
        row = self.chain.rows[scene.address].columns
        yield f"{_STEP}{scene.address}"
        for line in _scene_lines(scene, row):
            yield f"{_STEP * 2}{line}"
        shown, left = self._first(scene.files)
        for file in shown:
            yield from (f"{_STEP * 2}{line}" for line in _file_lines(file))
        if left:
            yield f"{_STEP * 2}and {left} more files; --all shows them"

    def vouched(self) -> Iterator[str]:
        of = self.chain.vouched
        yield "Vouched for by"
        yield f"{_STEP}{_placed(of.package)}"
        yield f"{_STEP}{_placed(of.manifest)}; names the file above and every file of the scenes"
        yield f"{_STEP}{_placed(of.run)}; run of {of.started} to {of.finished}, vouches for the manifest"
        before = of.previous_run_sha256
        yield f"{_STEP}{f'the run before it has SHA-256 {before}' if before else 'it is the first run of this folder'}"
        yield f"{_STEP}program {of.version}, sources {of.code_sha256}; content key {of.key}"

    def ends(self) -> Iterator[str]:
        """Say what a recomputation needs, and which links are missing."""
        of = self.chain
        if of.outlines:
            yield "To recompute the areas: stockline trace DIR ID --json | python docs/recompute.py"
        for need in of.needs:
            yield f"To recompute what is not a pile: {need}"
        yield "Links that are missing or do not agree" if of.problems else "Every link is here, every hash agrees"
        yield from (f"{_STEP}{problem}" for problem in of.problems)

    def _first(self, every: Sequence[Any]) -> tuple[Sequence[Any], int]:
        # One more takes no more room than the words that it is left out.
        if self.everything or len(every) <= _SHOWN + 1:
            return every, 0
        return every[:_SHOWN], len(every) - _SHOWN


def _all_scenes(count: int) -> str:
    return "scene, see below" if count == 1 else f"{count} scenes of its windows, see below"


def _placed(file: PlacedFile) -> str:
    return f"{file.path}, SHA-256 {file.sha256}, {_STATES[file.state]}"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "not computed"
    return f"{value:,.1f} {unit}" if unit != "1" else f"{value:g}"


def _interval(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    if value is None or low is None or high is None:
        return _number(value, unit)
    return f"{_number(value, unit)} (95 % interval {_number(low, unit)} to {_number(high, unit)})"


def _change(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"difference {_interval(row['delta'], row['lo95'], row['hi95'], row['unit'])}; verdict: {row['verdict']}"
    if row["p_value"] is not None:
        limit = _number(row["mdc95"], row["unit"])
        yield f"called from {limit} (MDC); p = {row['p_value']:.3g}, q = {row['q_value']:.3g}"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _measurement(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{_interval(row['value'], row['lo95'], row['hi95'], row['unit'])}; status: {row['status']}"
    yield f"{row['n_dates']} clear dates, {row['valid_fraction']:.0%} of the zone seen on enough"


def _trend(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"a year {_interval(row['slope_per_year'], row['lo95'], row['hi95'], row['unit'])}; verdict: {row['verdict']}"
    yield f"{row['n_years']} adequate years, {row['year_first']} to {row['year_last']}"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _break(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"after minus before: {_number(row['delta'], row['unit'])}; verdict: {row['verdict']}"
    yield f"resolution {row['resolution']} of {row['adopted']}; {row['n_before']} years before, {row['n_after']} after"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _claim(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"claim: {row['quote']} ({row['source']})"
    yield f"test: {row['test']}"
    yield f"verdict: {row['verdict']}; {row['reason']}"


def _pile(link: RowLink) -> Iterator[str]:
    row = link.columns
    area = _interval(row["area_m2"], row["area_lo95_m2"], row["area_hi95_m2"], "m2")
    yield f"{area}; {row['tier']}, {row['n_dates']} dates outlined"


def _observation(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{row['date']}: {_interval(row['area_m2'], row['area_lo95_m2'], row['area_hi95_m2'], 'm2')}"
    levels = ", ".join(
        f"{name} {'not known' if row[key] is None else format(row[key], '.4f')}"
        for name, key in (("pile", "pile_level"), ("ground", "background_level"))
    )
    yield f"mean reflectance of the 10 m bands: {levels}; {row['clear_fraction']:.0%} of pile and surroundings usable"


def _pile_change(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"difference {_interval(row['delta_m2'], row['lo95_m2'], row['hi95_m2'], 'm2')}; verdict: {row['verdict']}"


def _plain_row(link: RowLink) -> Iterator[str]:
    yield ", ".join(f"{name} {value}" for name, value in link.columns.items() if value is not None)


_ROWS: Mapping[str, Callable[[RowLink], Iterator[str]]] = {
    "changes": _change,
    "measurements": _measurement,
    "trends": _trend,
    "breaks": _break,
    "claims": _claim,
    "stockpiles": _pile,
    "stockpile_observations": _observation,
    "stockpile_changes": _pile_change,
}


def _scene_lines(scene: SceneLink, row: Mapping[str, Any]) -> Iterator[str]:
    about = [row["datetime"], row["platform"] or "satellite not stated"]
    about += [
        f"baseline {row['processing_baseline'] or 'not stated'}",
        f"version {row['evidence_version']} of its pixels",
    ]
    yield ", ".join(about)
    if not row["used"]:
        yield f"not used: {row['reason']}"
        return
    yield (f"reflectance = (DN {scene.offset_dn:+g}) x {scene.scale:g}; radiometric offset: {row['offset_verdict']}")
    registered = "" if row["shift_x_m"] is not None else " (not registered)"
    yield f"shift taken off: {scene.shift_m[0]:+.2f} m east, {scene.shift_m[1]:+.2f} m north{registered}"


def _file_lines(file: FileLink) -> Iterator[str]:
    yield f"{file.band}: {_placed(file)}"
    if file.evidence == "reference":
        yield f"{_STEP}file of a local archive; no request was made"
    elif file.record is None:
        yield f"{_STEP}provider's address {file.href}; HOW IT CAME IS NOT HERE (record.json)"
    else:
        yield from (f"{_STEP}{line}" for line in _request_lines(file.record))


def _request_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Say how a copy came: what was asked, what was answered, when, under which licence."""
    request = dict(record.get("request", {}))
    if "cut_from" in request:
        yield f"cut from {request['cut_from']}, SHA-256 {request.get('sha256')}"
        inner = record.get("cut_from_record")
        yield from _request_lines(inner) if inner else ["HOW THAT CAME IS NOT HERE (record.json)"]
        return
    ranges = request.pop("ranges", None)
    yield f"fetched {record.get('fetched')}: {', '.join(f'{k} {v}' for k, v in request.items())}"
    if ranges:
        yield f"byte ranges: {', '.join(f'{first}-{last}' for first, last in ranges)}"
    answer = record.get("response") or {}
    yield f"answered: {', '.join(f'{k}: {v}' for k, v in answer.items()) or 'nothing noted'}"
    yield f"licence: {record.get('licence') or 'not stated'}; {record['record']} beside the file says so"
