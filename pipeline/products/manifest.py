"""What a result rests on: ``manifest.json``, each hash in its place.

The manifest holds the hashes of inputs, code, settings and outputs and nothing that differs between two
runs of the same inputs. :mod:`pipeline.products.runs` records each run, which vouches for its manifest;
:mod:`pipeline.products.custody.verify` checks all of it.
"""

import importlib.metadata
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.addresses import home
from pipeline.config import Config, content_of
from pipeline.errors import ProductError
from pipeline.evidence import sha256_file
from pipeline.imagery import Refusal, StoredScene
from pipeline.products._documents import (
    MANIFEST,
    RUN,
    Code,
    InputFile,
    Manifest,
    OutputFile,
    RefusedScene,
    Run,
    json_text,
    read_document,
    sha256_text,
    stays_inside,
    write_document,
)
from pipeline.products.runs import evidence_records
from pipeline.products.software import commit, rests_on


@dataclass(frozen=True)
class ManifestInputs:
    """What the outputs of one site are made from.

    ``archive_root`` is the folder of a local archive (see :func:`archive_root`), None for a remote one;
    ``claims_sha256`` is None when no claims are tested, ``reviews_sha256`` when no decision of a reviewer is there.
    ``documents`` are the bytes that were read and have these hashes, by the path of their copy among the products.
    """

    site: str
    simulated: bool
    config: Config
    site_sha256: str
    claims_sha256: str | None
    scenes: Sequence[StoredScene]
    refused: Sequence[Refusal]
    evidence_root: Path
    archive_root: Path | None
    reviews_sha256: str | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def archive_root(url: str, scenes: Sequence[StoredScene]) -> Path | None:
    """Return the folder that holds a local catalogue and all files it refers to; None for a remote catalogue.

    Parameters
    ----------
    url : str
        Address of the catalogue, or path of the folder of an archive without one, as configured.
    scenes : sequence of StoredScene
        Scenes of that catalogue.
    """
    if "://" in url:
        return None
    hrefs = (band.href for scene in scenes for bands in scene.bands for band in bands)
    local = [os.path.dirname(_local(href)) for href in hrefs if _is_local(href)]  # noqa: PTH120 - text, for commonpath
    return Path(os.path.commonpath([home(url), *local]))


def settings_of(config: Config) -> dict[str, Any]:
    """Return the settings a result depends on, as JSON; of a path on this machine the file name is kept."""
    settings = content_of(config)
    url = settings["source"]["url"]
    settings["source"]["url"] = url.split("?", maxsplit=1)[0] if "://" in url else Path(url).name
    dem = config.clear.dem
    if dem is not None:
        settings["clear"]["dem"] = f"{Path(dem).name} {sha256_file(Path(dem))}"
    if config.clear.without_scl == "csmask":
        settings["clear"]["without_scl"] = f"csmask {importlib.metadata.version('ukis-csmask')}"
    return settings


def content_key(inputs: ManifestInputs) -> str:
    """Return one hash over settings, inputs, code, site and claims: equal keys mean equal outputs."""
    return sha256_text(json_text(_content(inputs)))


def build_manifest(inputs: ManifestInputs, folder: Path, outputs: Sequence[Path]) -> Manifest:
    """Describe finished outputs and what they were made from; the same bytes for the same content.

    Parameters
    ----------
    inputs : ManifestInputs
    folder : Path
        The site's folder.
    outputs : sequence of Path
        Every product file, in the folder; all are hashed here.

    Raises
    ------
    ProductError
        An output cannot be read or lies outside the folder, or an input outside its root.
    """
    content, (at, dirty) = _content(inputs), commit()
    made_by = Code(commit=at, dirty=dirty, **content["code"])
    files = sorted(describe(folder, outputs), key=lambda output: output.path)
    return Manifest(
        **content | {"code": made_by},
        version=made_by.version,
        code_sha256=made_by.sha256,
        key=sha256_text(json_text(content)),
        outputs=tuple(files),
    )


def describe(folder: Path, outputs: Iterable[Path]) -> list[OutputFile]:
    """Hash finished outputs; errors as of :func:`build_manifest`."""
    files = []
    for path in outputs:
        try:
            digest, size = sha256_file(path), path.stat().st_size
        except OSError as error:
            raise ProductError(f"{path}: cannot be read ({error.strerror}); run the site again") from error
        files.append(OutputFile(path=_relative(str(path), folder), sha256=digest, size_bytes=size))
    return files


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``; :class:`ProductError` when that fails, a former one is then untouched."""
    write_document(folder / MANIFEST, manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json`` of a site's folder; :class:`ProductError` when it is missing or not a manifest."""
    return read_document(folder / MANIFEST, Manifest)


def is_current(folder: Path, inputs: ManifestInputs) -> bool:
    """Whether a site's outputs are there, unchanged, made from these inputs, and their run is recorded.

    A later description of the same pixels by their provider is recorded by a run of its own.
    """
    content = _content(inputs)
    try:
        manifest = read_manifest(folder)
        run = read_document(folder / RUN, Run)
        recorded = manifest.key == sha256_text(json_text(content)) and run.manifest_sha256 == sha256_file(
            folder / MANIFEST
        )
        noted = run.records == evidence_records(content["inputs"], inputs.evidence_root)
        return (recorded and noted) and all(
            stays_inside(output.path) and sha256_file(folder / output.path) == output.sha256
            for output in manifest.outputs
        )
    except (ProductError, OSError):
        return False


def _content(inputs: ManifestInputs) -> dict[str, Any]:
    """Return all of the manifest that its key is made of: not the outputs, and of the code not the commit."""
    settings = settings_of(inputs.config)
    files = [
        InputFile(
            scene_id=stored.scene.scene_id,
            item_id=item.id,
            band=band.band,
            href=_href(band.href, inputs.archive_root),
            evidence=band.evidence,  # the model checks it
            path=_relative(band.path, inputs.evidence_root if band.evidence == "copy" else inputs.archive_root),
            sha256=band.sha256,
            size_bytes=band.size_bytes,
        )
        for stored in inputs.scenes
        for item, bands in zip(stored.scene.items, stored.bands, strict=True)
        for band in bands
    ]
    refused = [RefusedScene(scene_id=scene.scene_id, reason=scene.reason) for scene in inputs.refused]
    return {
        "site": inputs.site,
        "simulated": inputs.simulated,
        "code": rests_on(),
        "settings": settings,
        "settings_sha256": sha256_text(json_text(settings)),
        "site_sha256": inputs.site_sha256,
        "claims_sha256": inputs.claims_sha256,
        "reviews_sha256": inputs.reviews_sha256,
        "inputs": tuple(sorted(files, key=lambda file: (file.scene_id, file.item_id, file.band, file.path))),
        "refused": tuple(sorted(refused, key=lambda scene: (scene.scene_id, scene.reason))),
    }


def _is_local(href: str) -> bool:
    return "://" not in href or href.startswith("file://")


def _local(href: str) -> str:
    return str(Path(href.removeprefix("file://")).absolute())


def _href(href: str, root: Path | None) -> str:
    """Return a remote address as it is, a local one relative to the archive."""
    return _relative(_local(href), root) if _is_local(href) else href


def _relative(path: str, root: Path | None) -> str:
    """Return a path below a root with forward slashes; refuse one that is not below it."""
    absolute = Path(path).absolute()
    if root is None or not absolute.is_relative_to(root.absolute()):
        raise ProductError(f"{path}: lies outside {root}; a manifest names files below that folder only")
    return absolute.relative_to(root.absolute()).as_posix()
