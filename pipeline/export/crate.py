"""``ro-crate-metadata.json``: every file of an archive, and the runs that made them, as an RO-Crate.

RO-Crate 1.1 with the profile Process Run Crate 0.5: one action per site, from what it read to what it made. Written by
the library ``rocrate``; nothing of the day it is written on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.export.contents import SitePart
from pipeline.export.entries import Entry
from pipeline.export.facts import Facts

CRATE = "ro-crate-metadata.json"
_BASE = "1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
"""Terms the context of RO-Crate 1.1 lacks."""
_SOFTWARE = "#stockline"


def crate_of(facts: Facts, parts: Sequence[SitePart], entries: Sequence[Entry]) -> bytes:
    """Describe an archive as an RO-Crate.

    Parameters
    ----------
    facts : Facts
        Title, licence and dates of the archive.
    parts : sequence of SitePart
    entries : sequence of Entry
        All files of the archive but this one; ``SHA256SUMS`` is among them with an empty hash, as it holds this one's.

    Returns
    -------
    bytes
        JSON-LD; entities sorted by id, after the descriptor and the root.
    """
    # It brings requests with it; only who exports waits for them.
    from rocrate.model.contextentity import ContextEntity  # noqa: PLC0415
    from rocrate.rocrate import ROCrate  # noqa: PLC0415

    crate = ROCrate(version=_BASE)
    crate.metadata.extra_terms.update(_TERMS)
    root = crate.root_dataset
    root["name"], root["description"] = facts.title, facts.description
    crate.datePublished = facts.day
    root["license"] = {"@id": facts.licence_file}
    root["conformsTo"] = {"@id": _PROFILE}
    for entry in entries:
        crate.add_file(dest_path=entry.path, properties=_file(entry, facts))
    for identifier, properties in _context(facts, parts):
        crate.add(ContextEntity(crate, identifier, properties=properties))
    root["mentions"] = [{"@id": _action_id(part)} for part in parts]
    document = crate.metadata.generate()
    first = {"ro-crate-metadata.json": 0, "./": 1}
    document["@graph"] = sorted(
        (_ordered(entity) for entity in document["@graph"]),
        key=lambda entity: (first.get(entity["@id"], 2), entity["@id"]),
    )
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _file(entry: Entry, facts: Facts) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "name": entry.about if not facts.simulated else f"SIMULATED. {entry.about}",
        "encodingFormat": entry.media,
        "contentSize": str(entry.size_bytes),
    }
    if entry.sha256:
        properties["sha256"] = entry.sha256
    else:
        del properties["contentSize"]
    return properties


def _context(facts: Facts, parts: Sequence[SitePart]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Give what is no file: the profile, the program, and what it did."""
    yield _PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    yield (
        _SOFTWARE,
        {
            "@type": "SoftwareApplication",
            "name": "Stockline",
            "softwareVersion": facts.software_version,
            "description": "Measures coal stockpiles and occupied ground from Sentinel-2 imagery",
        },
    )
    for part in parts:
        yield _action_id(part), _action(part, facts)


def _action_id(part: SitePart) -> str:
    return f"#run-{part.site}"


def _action(part: SitePart, facts: Facts) -> dict[str, Any]:
    """Tell the run of one site: with what, from what, what came of it."""
    read = [kept.entry for kept in part.kept] + [entry for entry in part.entries if entry.role == "input"]
    made = [entry for entry in part.entries if entry.role == "product"]
    return {
        "@type": "CreateAction",
        "name": f"{'SIMULATED: ' if facts.simulated else ''}Measurement of site {part.site}",
        "description": f"Settings and hashes of all that was read and made: {part.site}/manifest.json",
        "instrument": {"@id": _SOFTWARE},
        "startTime": part.run.started,
        "endTime": part.run.finished,
        "object": _references(read),
        "result": _references(made),
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }


def _references(entries: Iterable[Entry]) -> list[dict[str, str]]:
    from urllib.parse import quote  # noqa: PLC0415

    return [{"@id": quote(path)} for path in sorted({entry.path for entry in entries})]


def _ordered(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entity whose parts are sorted; the library keeps the order of adding."""
    plain = dict(entity)
    if isinstance(plain.get("hasPart"), list):
        plain["hasPart"] = sorted(plain["hasPart"], key=lambda part: part["@id"])
    return plain
