"""No secret of a provider, a user or a machine comes out anywhere: not in a product, a log, an error or a task."""

import base64
import json
import pickle
import re
import zlib

import pytest
from conftest import call
from hostile import ITEM, Neighbour, Provider, World, build
from servers import TOKEN, opened_line

from pipeline.config import read_config
from pipeline.sources import _files, load
from pipeline.store import Store, fetch
from pipeline.types import Grid

SECRETS = {
    "read token": TOKEN.partition("=")[2],
    "client id": "canary-client-41f0",
    "client secret": "canary-secret-77ab",
    "proxy password": "canary-proxy-9d2e",
    "cloud key": "canary-cloud-c35b",
    "netrc password": "canary-netrc-e801",
    "signature of an item": "canary-item-5a5a",
    "signature of a redirect": "canary-redirect-13c7",
}
NETRC = "machine 127.0.0.1 login someone password {}\n"


@pytest.fixture
def world(tmp_path):
    build(tmp_path)
    with Provider(tmp_path / "archive", token=TOKEN) as own, Neighbour() as other:
        made = World(tmp_path, own, other)
        made.source |= {"sign_url": f"{own.url}/token", "timeout_s": 10, "retries": 3}
        yield made.remote()


def secretive(tmp_path):
    """Environment of a user whose machine holds many secrets."""
    (tmp_path / ".netrc").write_text(NETRC.format(SECRETS["netrc password"]))
    (tmp_path / ".netrc").chmod(0o600)
    return {
        "HOME": str(tmp_path),
        "SH_CLIENT_ID": SECRETS["client id"],
        "SH_CLIENT_SECRET": SECRETS["client secret"],
        "AWS_SECRET_ACCESS_KEY": SECRETS["cloud key"],
        "HTTPS_PROXY": f"http://someone:{SECRETS['proxy password']}@127.0.0.1:9",
    }


def forms(secret):
    """Bytes a secret may stand in a file as."""
    yield secret.encode()
    for user in ("someone", SECRETS["client id"]):
        yield base64.b64encode(f"{user}:{secret}".encode())


def inflated(data):
    """Give the streams of a PDF, unpacked, behind the file itself."""
    parts = [data]
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        unpack = zlib.decompressobj()
        try:
            parts.append(unpack.decompress(found[1]))
        except zlib.error:
            continue
    return b"\n".join(parts)


def leaks(folder, *more):
    """Where a secret is found: below a folder, or in further texts."""
    places = {str(path): inflated(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}
    places |= {f"text {number}": text.encode() for number, text in enumerate(more)}
    return [
        f"{name} in {place}"
        for place, data in places.items()
        for name, secret in SECRETS.items()
        if any(form in data for form in forms(secret))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_with_failures_in_between_keeps_no_secret(workers, world, tmp_path):
    secret_env = secretive(tmp_path / "archive")
    world.item_folder.joinpath("B03.tif").rename(world.item_folder / "there.tif")
    world.own.fail("B03.tif", 302, location=f"there.tif?{TOKEN}&sig={SECRETS['signature of a redirect']}")
    world.own.fail("B11.tif", 503, times=2)
    told = {"message": f"token {TOKEN} of http://127.0.0.1/x?{TOKEN} has no right"}
    world.own.answer(f"/{ITEM}/B12.tif", told, status=403)
    world.write()
    arguments = ("run", "--config", world.folder / "config.yaml", "--workers", workers)
    failed = call(*arguments, env=secret_env)
    assert failed.returncode == 1, failed.stderr
    assert "is refused (403: token" in failed.stderr
    del world.own.answers[f"/{ITEM}/B12.tif"]
    finished = call(*arguments, env=secret_env)
    assert finished.returncode == 0, finished.stderr
    assert any(TOKEN in query for _, path, query, _, _ in world.own.requests if path.endswith(".tif"))
    texts = [text for run in (failed, finished) for text in (run.stdout, run.stderr)]
    texts += [call("verify", world.out, env=secret_env).stdout, call("status", *arguments[1:3], env=secret_env).stdout]
    assert {"record.json", "manifest.json", "run.json", "report.pdf", "report.html", "place.gpkg"} <= {
        path.name for path in world.out.rglob("*")
    }
    assert leaks(world.out, *texts) == []


def test_the_search_for_secrets_finds_one_that_is_there(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"stream\n" + zlib.compress(SECRETS["client secret"].encode()) + b"endstream")
    (tmp_path / "b.gpkg").write_bytes(base64.b64encode(f"someone:{SECRETS['proxy password']}".encode()))
    assert leaks(tmp_path, f"x{SECRETS['read token']}x") == [
        f"client secret in {tmp_path / 'a.pdf'}", f"proxy password in {tmp_path / 'b.gpkg'}", "read token in text 0",
    ]  # fmt: skip


def test_no_secret_travels_with_a_task(world, monkeypatch, tmp_path):
    """What is sent to a worker, before and after it was used here."""
    for name, value in secretive(tmp_path).items():
        monkeypatch.setenv(name, value)
    world.write()
    config = read_config(world.folder / "config.yaml")
    line, source = opened_line(config.source, tmp_path / "line"), load("stac")
    grid = Grid(32652, 400_400.0, 4_299_600.0, 30, 20)
    area = json.loads(world.site.read_text())["features"][0]["geometry"]
    from pipeline.plan import plan_site  # noqa: PLC0415
    from pipeline.settings import Settings  # noqa: PLC0415

    settings = Settings.make(config, [])
    planned = plan_site(settings.sites[0], config, line)
    store = Store(tmp_path / "evidence", line, source.deliver)
    before = pickle.dumps((line, store, planned, config, settings, area))
    stored = [fetch(store, scene, grid, ("blue", "scl")) for scene in planned.scenes]
    assert _files._TOKENS
    after = pickle.dumps((line, store, planned, config, settings, stored))
    for name, secret in SECRETS.items():
        assert not any(form in before + after for form in forms(secret)), name


def test_a_signature_in_an_item_stays_out_of_results(world, tmp_path):
    """A catalogue that signs its hrefs itself: they are asked with, and kept without."""
    path = world.item_folder / f"{ITEM}.json"
    text = path.read_text()
    path.write_text(text.replace('.tif"', f'.tif?{TOKEN}&sig={SECRETS["signature of an item"]}"'))
    del world.source["sign_url"]
    world.write()
    done = call("run", "--config", world.folder / "config.yaml")
    assert done.returncode == 0, done.stderr
    assert any("canary-item" in query for _, _, query, _, _ in world.own.requests)
    assert leaks(world.out, done.stdout, done.stderr) == []


@pytest.mark.parametrize(
    "proxy",
    [
        "http://someone:{}@127.0.0.1:9", "http://someone:{}@127.0.0.1:nine", "http://someone:{}@", "socks5://someone:{}@127.0.0.1:9",
        "http://someone:{}/x@127.0.0.1:9", "http://[someone:{}@127.0.0.1",
    ],
)  # fmt: skip
def test_a_proxy_that_fails_is_told_without_its_password(proxy, world, tmp_path):
    env = {"HTTP_PROXY": proxy.format(SECRETS["proxy password"]), "http_proxy": "", "NO_PROXY": "", "no_proxy": ""}
    world.source |= {"retries": 0, "timeout_s": 2}
    world.write()
    done = call(
        "run", "--config", world.folder / "config.yaml", env={k: v for k, v in env.items() if v or "no" in k.lower()}
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert leaks(world.out, done.stdout, done.stderr) == []


@pytest.mark.parametrize("command", [("run",), ("plan",), ("status",), ("sites", "check")])
@pytest.mark.parametrize("key", ["url", "sign_url", "hosts"])
@pytest.mark.parametrize("where", ["user", "query"])
def test_a_secret_in_the_configuration_is_refused_without_being_told(where, key, command, world, tmp_path):
    secret = SECRETS["client secret"]
    address = f"https://user:{secret}@example.org/a" if where == "user" else f"https://example.org/a?key={secret}"
    world.source |= {key: [address] if key == "hosts" else address}
    world.write()
    done = call(*command, "--config", world.folder / "config.yaml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"source.{key}" in done.stderr
    assert "leave it out" in done.stderr
    assert leaks(tmp_path / "nothing", done.stdout, done.stderr) == []
