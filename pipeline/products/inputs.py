"""Copies of the files a site was measured by, among its products: the bytes that were read, not read a second time."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.products._documents import CLAIMS_COPY, REVIEWS_COPY, SITE_COPY, sha256_bytes
from pipeline.products.atomic import atomic_path
from pipeline.products.manifest import ManifestInputs


def input_copies(site: str, read: Mapping[str, bytes], reviews: bytes) -> dict[str, bytes]:
    """Return the bytes a site is measured by, by the path of their copy.

    Parameters
    ----------
    site : str
    read : mapping of str to bytes
        ``<site>.geojson`` of this and other sites, and ``claims.yaml`` where claims are tested.
    reviews : bytes
        The ledger of decisions; empty without one.
    """
    names = {f"{site}.geojson": SITE_COPY, "claims.yaml": CLAIMS_COPY}
    found = {copy: read[name] for name, copy in names.items() if name in read}
    return found | ({REVIEWS_COPY: reviews} if reviews else {})


def write_inputs(folder: Path, inputs: ManifestInputs) -> list[Path]:
    """Write ``inputs/``: the site file, the claims and the decisions of reviewers, those that there are.

    Parameters
    ----------
    folder : Path
        Of the site.
    inputs : ManifestInputs
        ``documents`` has the bytes, by path in the folder.

    Returns
    -------
    list of Path

    Raises
    ------
    ProductError
        The bytes are not those the site was measured by, or some are lacking; or a file could not be written.
    """
    recorded = {SITE_COPY: inputs.site_sha256, CLAIMS_COPY: inputs.claims_sha256, REVIEWS_COPY: inputs.reviews_sha256}
    wanted = {name: digest for name, digest in recorded.items() if digest is not None}
    given = {name: sha256_bytes(content) for name, content in inputs.documents.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise ProductError(f"{name}: differs from what site {inputs.site} was measured by; run the site again")
    for name in wanted:
        with atomic_path(folder / name) as beside:
            beside.write_bytes(inputs.documents[name])
    return [folder / name for name in wanted]
