"""Archives that are known by name: where each is, where its pixels lie, what it delivers and what it allows. Data only.

"Items" are real ones (``tests/test_items.py``); what is marked [doc] was read in public documentation, not tried.

- ``earth-search``, ``earth-search-c1``: Element 84's Earth Search v1, GeoTIFF on S3 by https, without an account. Items
  of the first say in ``earthsearch:boa_offset_applied`` that the offset is in the DN already, and name it beside; items
  of the second name it in ``raster:bands`` only. Its requests are throttled, by how much is not published [doc:
  github.com/Element84/earth-search issue 19].
- ``planetary-computer``: GeoTIFF in Azure storage, without an account, each href signed with a token that is issued to
  anybody and lives about an hour. Raw DN, of which the items say nothing. Tokens and searches are limited, by how much
  is not published [doc: planetarycomputer.microsoft.com/docs/concepts/sas].
- ``cdse``: the STAC catalogue of the Copernicus Data Space Ecosystem. Searching needs no account. The files are JPEG
  2000 as ESA delivers them, named as ``s3://eodata/...``, which needs keys of an account, and in ``alternate.https`` as
  an OData node on ``download.dataspace.copernicus.eu`` (``zipper`` in older items), which needs a bearer token of an
  account: POST to identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token with the client
  ``cdse-public`` and the account's name and password, valid for 10 minutes [doc:
  documentation.dataspace.copernicus.eu/APIs/OData.html, Quotas.html]. Whether a part of such a file can be asked for is
  not known. No such token is sent from here: this preset serves to search and plan, and ``source.kind: sentinelhub``
  to fetch pixels of the same archive.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SENTINEL_TERMS = "https://sentinel.esa.int/documents/247904/690755/Sentinel_Data_Legal_Notice"


@dataclass(frozen=True)
class Rate:
    """What a provider says it allows; None: it does not say."""

    requests_per_minute: int | None = None
    concurrent: int | None = None


@dataclass(frozen=True)
class Preset:
    """An archive known by name.

    Attributes
    ----------
    url : str
        Of its STAC API.
    collection : str
        Of Sentinel-2 level 2A.
    hosts : tuple of str
        Where its pixels lie, as ``source.hosts`` takes them.
    raw_dn : bool or None
        What it delivers where its items do not say: True raw DN, None not known.
    sign_url : str or None
        Address that issues read tokens; None when hrefs are read as they are.
    licence : str
        Address of the terms of its data.
    rate : Rate
        What it allows.
    pixels_need_account : bool
        True: its catalogue is open, its files are not.
    """

    url: str
    collection: str
    hosts: tuple[str, ...]
    raw_dn: bool | None
    sign_url: str | None = None
    licence: str = SENTINEL_TERMS
    rate: Rate = Rate()
    pixels_need_account: bool = False


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "earth-search": Preset(
            url="https://earth-search.aws.element84.com/v1",
            collection="sentinel-2-l2a",
            hosts=("sentinel-cogs.s3.us-west-2.amazonaws.com",),
            raw_dn=None,
        ),
        "earth-search-c1": Preset(
            url="https://earth-search.aws.element84.com/v1",
            collection="sentinel-2-c1-l2a",
            hosts=("e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",),
            raw_dn=True,
        ),
        "planetary-computer": Preset(
            url="https://planetarycomputer.microsoft.com/api/stac/v1",
            collection="sentinel-2-l2a",
            # One storage account and no other: anybody can rent a name below blob.core.windows.net.
            hosts=("sentinel2l2a01.blob.core.windows.net",),
            raw_dn=True,
            sign_url="https://planetarycomputer.microsoft.com/api/sas/v1/token",
        ),
        "cdse": Preset(
            url="https://stac.dataspace.copernicus.eu/v1",
            collection="sentinel-2-l2a",
            hosts=("download.dataspace.copernicus.eu", "zipper.dataspace.copernicus.eu"),
            raw_dn=True,
            # Connections of one account at a time, of 20 MB/s each [doc: Quotas.html]; searches are not counted.
            rate=Rate(concurrent=4),
            pixels_need_account=True,
        ),
    }
)
"""By the name ``source.preset`` takes."""
DEFAULT = "planetary-computer"
"""The archive where none is named: open without an account, and the most complete."""


def known(name: str) -> str:
    """Give back the name of a preset.

    Raises
    ------
    ValueError
        There is none of that name; says the nearest.
    """
    if name in PRESETS:
        return name
    near = difflib.get_close_matches(name.lower(), PRESETS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"presets are {', '.join(PRESETS)}"
    raise ValueError(f"{name!r} is no archive known by name; {hint}")


def filled(values: Mapping[str, object]) -> dict[str, object]:
    """Add to settings of a source what its preset says and they do not.

    Parameters
    ----------
    values : Mapping
        Keys as they stand in ``source``. Without ``preset`` and ``url`` the archive is :data:`DEFAULT`; with ``url``
        alone, or a preset nobody knows, nothing is added.
    """
    name = values.get("preset")
    if name is None and "url" not in values and values.get("kind", "stac") == "stac":
        name = DEFAULT
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return dict(values)
    said: dict[str, object] = {
        "preset": name, "url": preset.url, "collection": preset.collection, "sign_url": preset.sign_url,
        "raw_dn": preset.raw_dn, "hosts": preset.hosts,
    }  # fmt: skip
    if preset.rate.concurrent is not None:
        said["max_concurrent"] = preset.rate.concurrent
    if preset.rate.requests_per_minute is not None:
        said["max_requests_per_minute"] = preset.rate.requests_per_minute
    # A key that is given, also as nothing, is a choice.
    return {**said, **{key: value for key, value in values.items() if (key, value) != ("preset", None)}}
