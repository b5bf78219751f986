"""``prov.json`` and ``prov.provn``: what was made from what, by which step, as W3C PROV (PROV-DM).

report and tables <- GeoPackage <- masks <- scenes <- files of pixels <- what the provider delivered. Written by the
library ``prov``; the steps carry the times their records state, and no other.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

from pipeline.export.contents import MEASURED, Kept, SitePart
from pipeline.export.entries import Entry
from pipeline.export.facts import Facts
from pipeline.products.geopackage import read_tables
from pipeline.records import ObservationRow, YearSceneRow

PROV_JSON = "prov.json"
PROV_N = "prov.provn"
_SCHEMA = "http://schema.org/"

Document: TypeAlias = Any
"""A ``prov.model.ProvDocument``: the library is imported when one is made."""


def provenance_of(facts: Facts, parts: Sequence[SitePart], entries: Sequence[Entry]) -> tuple[bytes, bytes]:
    """Tell what an archive was made from.

    Parameters
    ----------
    facts : Facts
    parts : sequence of SitePart
    entries : sequence of Entry
        Documents of the archive that are of no site.

    Returns
    -------
    tuple of bytes
        PROV-JSON and PROV-N, the same statements.
    """
    from prov.model import ProvDocument  # noqa: PLC0415 - only who exports waits for it

    document = ProvDocument()
    names = "-".join(f"{part.site}-{part.manifest_sha256[:12]}" for part in parts[:1])
    # An archive has no address: arcp names what lies in it (draft-soilandreyes-arcp).
    document.add_namespace("in", f"arcp://name,{names.lower()}/")
    document.add_namespace("schema", _SCHEMA)
    writer = _Writer(document)
    writer.agent("#stockline", {"schema:name": "Stockline", "schema:softwareVersion": facts.software_version})
    for part in parts:
        writer.site(part)
    writer.activity("#export", "Export of this archive")
    document.wasAssociatedWith(writer.at("#export"), writer.at("#stockline"))
    for entry in entries:
        writer.file(entry)
        document.wasGeneratedBy(writer.at(entry.path), writer.at("#export"))
    text = io.StringIO()
    document.serialize(text, format="json")
    plain = json.dumps(json.loads(text.getvalue()), indent=1, sort_keys=True, ensure_ascii=False)
    return (plain + "\n").encode("utf-8"), (document.get_provn() + "\n").encode("utf-8")


class _Writer:
    """A document being written, each file and step told once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.told: set[str] = set()

    def at(self, path: str) -> str:
        """Name of a file of the archive, or of ``#something`` that is no file."""
        return f"in:{quote(path, safe='/#')}"

    def entity(self, path: str, attributes: Mapping[str, Any]) -> str:
        """Tell of a thing."""
        name = self.at(path)
        if name not in self.told:
            self.told.add(name)
            self.document.entity(name, dict(attributes))
        return name

    def file(self, entry: Entry) -> str:
        """Tell of a file of the archive."""
        return self.entity(
            entry.path, {"prov:label": entry.about, "schema:sha256": entry.sha256, "schema:encodingFormat": entry.media}
        )

    def agent(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Tell of the program."""
        self.document.agent(self.at(name), {"prov:type": _prov("SoftwareAgent"), **attributes})

    def activity(self, name: str, label: str, started: str | None = None, ended: str | None = None) -> str:
        """Tell of a step, with its times where a record states them."""
        if self.at(name) not in self.told:
            self.told.add(self.at(name))
            self.document.activity(self.at(name), started, ended, {"prov:label": label})
        return self.at(name)

    def derived(self, made: Iterable[str], source: Iterable[str]) -> None:
        """Tell that things were made from others."""
        sources = list(source)
        for name in made:
            for other in sources:
                self.document.wasDerivedFrom(name, other)

    def site(self, part: SitePart) -> None:
        """Tell how the files of a site came to be."""
        document, mark = self.document, "SIMULATED " if part.finished.simulated else ""
        by_path = {entry.path.removeprefix(f"{part.site}/"): entry for entry in part.entries}
        run = self.activity(
            f"#run/{part.site}", f"{mark}measurement of {part.site}", part.run.started, part.run.finished
        )
        readings = self.activity(f"#readings/{part.site}", f"{mark}report, tables and outlines of {part.site}")
        for step in (run, readings):
            document.wasAssociatedWith(step, self.at("#stockline"))
        document.wasInformedBy(readings, run)
        for entry in part.entries:
            self.file(entry)
        if part.redacted is not None:
            self.redaction(part, by_path)
        scenes = self.scenes(part)
        for name in [self.at(e.path) for e in part.entries if e.role == "input"] + list(scenes.values()):
            document.used(run, name)
        measured = {path: self.at(e.path) for path, e in by_path.items() if path.endswith(MEASURED)}
        package = measured.pop(f"{part.site}.gpkg")
        document.used(readings, package)
        for path, entry in by_path.items():
            if entry.role == "product":
                document.wasGeneratedBy(self.at(entry.path), run if path.endswith(MEASURED) else readings)
                self.derived([] if path.endswith(MEASURED) else [self.at(entry.path)], [package])
        self.links(part, package, measured, scenes)
        for path in ("manifest.json", "run.json"):
            document.wasGeneratedBy(self.at(by_path[path].path), run)
            self.derived([self.at(by_path["manifest.json"].path)], [package] if path == "manifest.json" else [])

    def scenes(self, part: SitePart) -> dict[str, str]:
        """Tell of the scenes as collections of files, and of what the provider delivered; names by scene."""
        found: dict[str, str] = {}
        for kept in part.kept:
            if kept.file.scene_id not in found:
                attributes = {"prov:type": _prov("Collection"), "prov:label": f"Scene {kept.file.scene_id}"}
                found[kept.file.scene_id] = self.entity(f"#scene/{part.site}/{kept.file.scene_id}", attributes)
            self.document.hadMember(found[kept.file.scene_id], self.file(kept.entry))
            self.delivered(kept)
        for scene, band, closed in part.redacted.withheld if part.redacted is not None else ():
            collection = {"prov:type": _prov("Collection"), "prov:label": f"Scene {scene}"}
            found[scene] = self.entity(f"#scene/{part.site}/{scene}", collection)
            about = {"prov:label": f"Band {band}, not in this archive", "schema:identifier": f"commitment {closed}"}
            name = f"#withheld/{part.site}/{scene}/{band}/{closed[:12]}"
            self.document.hadMember(found[scene], self.entity(name, about))
        return found

    def redaction(self, part: SitePart, by_path: Mapping[str, Entry]) -> None:
        """Tell what was made of which file of the original when something was hidden, and by whom."""
        redacted = part.redacted
        if redacted is None:
            return
        step = self.activity(f"#redaction/{part.site}", f"Redaction of the results of {part.site}")
        original = {"prov:label": "Manifest of the original", "schema:identifier": f"commitment {redacted.manifest}"}
        self.document.used(step, self.entity(f"#original/{part.site}/manifest.json", original))
        self.document.wasAssociatedWith(step, self.at("#stockline"))
        for number, said in enumerate(redacted.steps):
            agent = self.at(f"#redaction/{part.site}/by/{number}")
            self.document.agent(agent, {"prov:label": said.by})
            reason = {"prov:label": said.told, "schema:description": said.why, "schema:datePublished": said.date or ""}
            self.document.wasAssociatedWith(step, agent, other_attributes=reason)
        for path, closed in sorted(redacted.replaced.items()):
            about = {"prov:label": "As it was before", "schema:identifier": f"commitment {closed}"}
            former = self.entity(f"#original/{part.site}/{path}", about)
            self.document.used(step, former)
            self.document.wasRevisionOf(self.at(by_path[path].path), former)
        self.document.wasGeneratedBy(self.at(by_path["redaction.json"].path), step)

    def delivered(self, kept: Kept) -> None:
        """Tell what a file of pixels is a copy of: the address asked, the request, and when it came."""
        name = self.at(f"#delivered/{kept.entry.path}")
        if name in self.told:
            return
        told = (kept.record or {}).get("files", {}).get(f"{kept.file.band}.tif", {})
        attributes: dict[str, Any] = {"prov:label": "As the provider delivered it", "schema:url": kept.file.href}
        for key in ("request", "response"):
            if told.get(key):
                attributes[f"schema:{'query' if key == 'request' else 'result'}"] = json.dumps(
                    told[key], sort_keys=True, ensure_ascii=False
                )
        self.entity(f"#delivered/{kept.entry.path}", attributes)
        copy = self.at(kept.entry.path)
        if told:
            fetch = self.activity(f"#fetch/{kept.entry.path}", "Fetched", told.get("fetched"), told.get("fetched"))
            self.document.used(fetch, name)
            self.document.wasGeneratedBy(copy, fetch)
            self.document.wasAssociatedWith(fetch, self.at("#stockline"))
        self.document.hadPrimarySource(copy, name)

    def links(self, part: SitePart, package: str, measured: Mapping[str, str], scenes: Mapping[str, str]) -> None:
        """Tell which scenes masks, composites and the numbers of a year rest on."""
        tables = read_tables(part.finished.path, ("stockpile_observations", "year_scenes"))
        of_pile: dict[str, set[str]] = {}
        for row in tables["stockpile_observations"]:
            if isinstance(row, ObservationRow):
                of_pile.setdefault(f"masks/{row.pile_id}.tif", set()).add(row.scene_id)
        of_year: dict[tuple[str, int], set[str]] = {}
        for row in tables["year_scenes"]:
            if isinstance(row, YearSceneRow):
                of_year.setdefault((row.metric, row.year), set()).add(row.scene_id)
        for path, name in sorted(measured.items()):
            years = {s for (_, year), ids in of_year.items() if path.startswith(f"composites/{year}.") for s in ids}
            used = of_pile.get(path, years)
            self.derived([name], [scenes[scene] for scene in sorted(used & scenes.keys())])
            self.derived([package], [name] if path.startswith("masks/") else [])
        for (metric, year), ids in sorted(of_year.items()):
            attributes = {"prov:label": f"{metric} of {year}, all zones: layer measurements"}
            number = self.entity(f"{part.site}/{part.site}.gpkg#measurements/{metric}/{year}", attributes)
            self.derived([number], [scenes[scene] for scene in sorted(ids & scenes.keys())])
            self.document.hadMember(package, number)
        self.derived([package], [scenes[scene] for scene in sorted(scenes)])


def _prov(name: str) -> Any:
    from prov.constants import PROV  # noqa: PLC0415 - as above

    return PROV[name]
