"""Addresses as truth tables; what may be opened is tested with the store."""

import pytest

from pipeline.addresses import checked, file_name, is_remote, not_allowed, one_line, unsigned
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


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://a.b/stac/x", True), ("https://A.b/x", True), ("https://a.b:443/x", True),
        ("http://a.b/x", False), ("https://a.b:8443/x", False), ("https://token.c/x", True),
        ("http://token.c:81/x", True), ("http://token.c/x", False), ("https://pix.d/x", True),
        ("https://sub.pix.d/x", False), ("https://one.of.e/x", True), ("https://of.e/x", False),
        ("https://noof.e/x", False), ("https://one.of.e.evil/x", False), ("https://pix.d.evil/x", False),
        ("https://port.f:99/x", True), ("https://port.f/x", False), ("http://pix.d/x", False),
        ("http://127.0.0.1:8/x", True), ("https://a.b@evil/x", False), ("https://user@a.b/x", False),
        ("https://:word@a.b/x", False), ("https:///x", False), ("file:///etc/passwd", False),
        ("ftp://a.b/x", False), ("https://a.b:port/x", False), ("https://[::1/x", False),
        ("//a.b/x", False), ("", False),
    ],
)  # fmt: skip
def test_which_hosts_may_be_asked(url, allowed):
    own = ["https://a.b/stac", "http://token.c:81/sign", "https://token.c/sign"]
    said = not_allowed(url, own, ["PIX.d", "*.of.e", "port.f:99", "http://127.0.0.1:8"])
    assert (said is None) is allowed
    assert said is None or "word" not in said


def test_a_local_file_lies_below_its_archive_links_followed(tmp_path):
    (tmp_path / "archive" / "in").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    for name in ("archive/in/a.tif", "else/b.tif"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "archive" / "link.tif").symlink_to(tmp_path / "else" / "b.tif")
    (tmp_path / "archive" / "kept.tif").symlink_to(tmp_path / "archive" / "in" / "a.tif")
    catalogue, root = str(tmp_path / "archive" / "catalog.json"), str(tmp_path)
    for inside in ("archive/in/a.tif", "archive/kept.tif", "archive/in/../in/a.tif"):
        assert checked(str(tmp_path / inside), catalogue) == str(tmp_path / inside)
    for outside in ("else/b.tif", "archive/link.tif", "archive/../else/b.tif", "archive/in/../../else/b.tif"):
        with pytest.raises(SceneRefusedError, match=r"lies outside .*archive; source\.root can name a"):
            checked(str(tmp_path / outside), catalogue)
        assert checked(str(tmp_path / outside), catalogue, root) == str(tmp_path / outside)
