"""A chain as indented text: what a reader follows from a sentence to the bytes a provider sent. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.products.tracing.links import Chain, FileLink, PlacedFile, SceneLink
from pipeline.products.tracing.trace_rows import row_lines

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
        for line in row_lines(link):
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
        yield "What it stands in, and what vouches for it"
        yield f"{_STEP}{_placed(of.package)}"
        yield from (f"{_STEP}{_placed(copy)}" for copy in of.inputs)
        yield f"{_STEP}{_placed(of.manifest)}; names the files above, the masks and every file of the scenes"
        yield f"{_STEP}{_placed(of.run)}; run of {of.started} to {of.finished}, vouches for the manifest"
        before = of.previous_run_sha256
        yield f"{_STEP}{f'the run before it has SHA-256 {before}' if before else 'it is the first run of this folder'}"
        yield f"{_STEP}program {of.version}, sources {of.code_sha256}; content key {of.key}"

    def ends(self) -> Iterator[str]:
        """Say what a recomputation needs, and which links are missing."""
        of = self.chain
        if of.outlines:
            yield "To recompute the areas of the outlines: stockline trace DIR ID --json | python docs/recompute.py"
        for need in of.needs:
            yield f"Not in this chain, and needed to make it again: {need}"
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
    told = _STATES.get(str(record.get("record_state")), "IS NOT IN THE RECORD OF THE RUN")
    yield f"licence: {record.get('licence') or 'not stated'}; from record.json beside the file, which {told}"
