"""The whole flow against a provider on loopback that wants tokens, and what it shares with the same files at hand."""

import json
import sqlite3

import pytest
import yaml
from conftest import call, products
from servers import COLLECTION, TOKEN, FileServer, published, stac_api

pytestmark = pytest.mark.slow
SITE = "sim-port"


def rows(folder, table):
    """Rows of a table of finished results, without the primary key of the file."""
    with sqlite3.connect(f"file:{folder / SITE / SITE}.gpkg?mode=ro", uri=True) as database:
        names = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
        wanted = ", ".join(name for name in names if name not in {"fid", "geom", "sha256"})
        return sorted(database.execute(f"SELECT {wanted} FROM {table}"), key=repr)  # noqa: S608 - names of ours


def test_an_api_with_tokens_gives_the_numbers_of_the_local_archive(port, port_results, settings, tmp_path):
    """Fetched through tokens and a busy server; again without a request; and no further once a stored byte differs."""
    documents = [json.loads(path.read_text()) for path in sorted(port.glob("S2*/S2*.json"))]
    local = yaml.safe_load((port / "config.yaml").read_text())
    with FileServer(port, token=TOKEN) as files, stac_api(published(documents, files.url), tmp_path) as api:
        config = settings(
            source={
                "kind": "stac", "url": api, "collection": COLLECTION, "sign_url": f"{files.url}/token",
                "evidence": "copy", "timeout_s": 20, "retries": 2,
            },
            sites=str(port / local["sites"]), claims=str(port / local["claims"]), years=local["years"],
        )  # fmt: skip
        files.fail("B11.tif", 503, times=1)
        first = call("run", SITE, "--config", config)
        assert first.returncode == 0, first.stderr
        out = tmp_path / "results"
        for table in ("measurements", "changes", "stockpiles", "stockpile_observations", "footprints", "scenes"):
            assert rows(out, table) == rows(port_results, table)
        assert len(rows(out, "measurements")) > 10

        checked = call("verify", out)
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "every hash agrees" in checked.stdout

        assert files.asked(".tif")
        files.requests.clear()
        before = products(out / SITE)
        second = call("run", SITE, "--config", config)
        assert second.returncode == 0, second.stderr
        assert "up to date" in second.stdout
        assert "0 files fetched" in second.stderr
        assert files.requests == []
        assert products(out / SITE) == before

        path = min((out / "evidence").rglob("red.tif"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        checked = call("verify", out)
        assert checked.returncode == 1
        assert "red.tif: differs from the hash in the manifest" in checked.stdout
        files.fail(".tif", 503)
        failed = call("run", SITE, "--config", config)
        assert failed.returncode == 1
        assert "cannot be read now (503" in failed.stderr
        files.faults.clear()
        mended = call("run", SITE, "--config", config)
        assert mended.returncode == 0, mended.stderr
        assert f"{path}: differs from the hash recorded when it was fetched; it was fetched again" in mended.stderr
        assert products(out / SITE) == before
        assert call("verify", out).returncode == 0

    told = "".join(run.stdout + run.stderr for run in (first, second, failed, mended))
    kept = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert "s3cret" not in told
    assert b"s3cret" not in kept
