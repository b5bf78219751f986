"""Addresses as truth tables; what may be opened is tested with the store."""

import pytest

from pipeline.addresses import checked, file_name, is_remote, one_line, unsigned
from pipeline.errors import SceneRefusedError


@pytest.mark.parametrize(
    ("address", "remote", "plain", "name"),
    [
        ("https://a.b/c/B04.tif?sig=s3cret", True, "https://a.b/c/B04.tif", "B04.tif"),
        ("https://a.b/c/B04.tif", True, "https://a.b/c/B04.tif", "B04.tif"),
        ("/data/what?/B04.tif", False, "/data/what?/B04.tif", "B04.tif"),
        ("catalog.json", False, "catalog.json", "catalog.json"),
    ],
)
def test_what_an_address_is_and_may_show(address, remote, plain, name):
    assert (is_remote(address), unsigned(address), file_name(address)) == (remote, plain, name)


@pytest.mark.parametrize(
    ("href", "catalogue", "allowed"),
    [
        ("https://a.b/B04.tif?x=1&y=2", "https://a.b/stac", True),
        ("http://a.b:8080/B04.tif", "/data/catalog.json", True),
        ("/data/B04.tif", "/data/catalog.json", True),
        ("/data/B04.tif", "https://a.b/stac", False),
        ("/vsizip/x.zip/B04.tif", "/data/catalog.json", False),
        ("B04.tif", "/data/catalog.json", False),
        ("https:///B04.tif", "https://a.b/stac", False),
        ("https://a.b/B04.tif\nx", "https://a.b/stac", False),
        ("file:///data/B04.tif", "/data/catalog.json", False),
    ],
)
def test_which_addresses_may_be_opened(href, catalogue, allowed):
    if allowed:
        assert checked(href, catalogue) == href
        return
    with pytest.raises(
        SceneRefusedError, match=r"^address .* (is neither http\(s\) nor a path|which a remote catalogue)"
    ):
        checked(href, catalogue)


def test_errors_are_told_on_one_short_line_without_queries():
    error = OSError("Max retries exceeded with url: /x.tif?sig=s3cret\n (https://a.b/y.tif?sig=s3cret) " + "x" * 500)
    said = one_line(error)
    assert said.startswith("Max retries exceeded with url: /x.tif (https://a.b/y.tif ")
    assert "s3cret" not in said
    assert "\n" not in said
    assert len(said) <= 160
    assert one_line(ValueError()) == "ValueError"
