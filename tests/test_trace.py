"""From a number or a sentence to its pixels: every link, and what is told where one is missing."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import call

from pipeline.errors import InputError
from pipeline.products._documents import InputFile, Run
from pipeline.products.geopackage import read_tables
from pipeline.products.tracing.evidence_files import Evidence
from pipeline.products.tracing.trace import trace
from pipeline.products.tracing.trace_words import json_of, lines_of

pytestmark = pytest.mark.slow

SENTENCE = "site/stockpile_area_m2/2018-2019"


@pytest.fixture(scope="module")
def site(port_results):
    """Folder of a finished site; do not write into it."""
    return port_results / "sim-port"


@pytest.fixture(scope="module")
def tables(site):
    return read_tables(site / "sim-port.gpkg")


@pytest.fixture(scope="module")
def asked(site):
    """Sentence of the report on the stock of the whole site."""
    said = json.loads((site / "tables" / "findings.json").read_text())["findings"]
    return next(f["id"] for f in said if f["id"].startswith("site/stockpile_area_m2"))


@pytest.fixture(scope="module")
def chain(site, asked):
    return trace(site, asked)


@pytest.fixture
def copied(port_results, tmp_path):
    """The same to write into."""
    return Path(shutil.copytree(port_results, tmp_path / "results")) / "sim-port"


def test_a_sentence_leads_down_to_files(chain, tables):
    assert chain.sentence.verdict in {"increase", "decrease", "no_detectable_change"}
    layers = [chain.rows[at].layer for at in chain.rows]
    for layer in ("changes", "measurements", "stockpiles", "stockpile_observations", "scenes"):
        assert layer in layers
    years = {row.columns["year"] for row in chain.rows.values() if row.layer == "stockpiles"}
    dates = [row for row in tables["stockpile_observations"] if row.year in years]
    assert {o.scene_id for o in chain.outlines} <= {row.scene_id for row in dates}
    assert {o.scene_id for o in chain.outlines} <= set(chain.scenes)
    for scene in chain.scenes.values():
        assert {file.band for file in scene.files} >= {"blue", "green", "red", "nir"}
        assert {file.state for file in scene.files} == {"agrees"}
        assert all(Path(chain.roots[f.root], f.path).is_file() for f in scene.files)
    assert all(o.masks is not None and o.masks.state == "agrees" for o in chain.outlines)
    assert chain.problems == ()


def test_numbers_are_what_the_rows_below_come_to(chain):
    assert {made.by for made in chain.made} == {"median", "sum"}
    for made in chain.made:
        parts = [chain.stated[at]["area_m2"] for at in made.of]
        assert chain.stated[made.address]["area_m2"] == pytest.approx(getattr(np, made.by)(parts), rel=1e-9)


def test_every_zone_s_stock_is_the_sum_of_the_piles_named(site, tables):
    rows = [m for m in tables["measurements"] if m.metric == "stockpile_area_m2" and m.value is not None]
    assert len({m.zone_id for m in rows}) > 3
    assert any(m.value == 0 for m in rows)
    for m in rows:
        found = trace(site, f"measurements/{m.zone_id}/stockpile_area_m2/{m.year}")
        of = next(made.of for made in found.made if made.by == "sum")
        assert sum(found.stated[at]["area_m2"] for at in of) == pytest.approx(m.value)


def test_every_address_of_the_report_that_is_a_row_s_can_be_traced(site):
    page = (site / "report.html").read_text(encoding="utf-8")
    ids = set(re.findall(r' id="([^"]*/[^"]*)"', page))
    lists = {at for at in ids if re.fullmatch(r"scenes/\d{4}|stockpiles/[^/]+|(drift|platforms|reviewed)/.*", at)}
    for at in sorted(ids - lists):
        assert trace(site, at).rows, at
    assert {at.split("/")[0] for at in ids - lists} >= {"changes", "measurements", "stockpiles", "scene", "trends"}


def test_sentences_as_data_stand_in_the_page_under_the_same_address(site, tables):
    page = (site / "report.html").read_text(encoding="utf-8")
    said = json.loads((site / "tables" / "findings.json").read_text(encoding="utf-8"))
    assert said["simulated"] is True
    assert [f["id"] for f in said["findings"]] == re.findall(r'<li id="([^"]*)" class="finding">', page)
    assert [c["id"] for c in said["claims"]] == re.findall(r'<article class="claim" id="([^"]*)">', page)
    for finding in said["findings"]:
        found = trace(site, finding["id"])
        assert found.sentence.text == finding["sentence"]
        assert list(found.start) == finding["rests_on"]
        assert all(at in found.rows for at in finding["rests_on"])


def test_a_claim_leads_to_the_rows_it_was_tested_by(site, tables):
    for claim in tables["claims"]:
        found = trace(site, f"claims/{claim.claim_id}")
        layers = {row.layer for row in found.rows.values()}
        if claim.verdict != "not_observable":
            assert {"changes", "measurements"} & layers
            assert "scenes" in layers


def test_ground_leads_to_its_scenes_and_says_what_is_lacking(site):
    found = trace(site, "measurements/site/footprint_area_m2/2018")
    assert {row.layer for row in found.rows.values()} == {"measurements", "footprints", "scenes"}
    assert found.scenes
    assert any("all pixels" in need for need in found.needs)


def test_text_names_every_link_and_says_how_much_is_left_out(chain):
    short, whole = lines_of(chain), lines_of(chain, everything=True)
    assert chain.sentence.text in short[1]
    assert any("more dates; --all shows them" in line for line in short)
    assert not any("--all" in line for line in whole)
    text = "\n".join(whole)
    for at in chain.rows:
        assert at in text or at.partition("/")[2] in text
    for scene in chain.scenes.values():
        assert all(file.sha256 in text for file in scene.files)
    assert "no request was made" in text
    assert short[0].startswith("SIMULATED sim-port")
    assert short[-1] == "Every link is here, every hash agrees"


def test_json_holds_all_of_it(chain):
    document = json.loads(json_of(chain))
    assert document["sentence"]["text"] == chain.sentence.text
    assert set(document["rows"]) == set(chain.rows)
    assert len(document["outlines"]) == len(chain.outlines)


def test_an_unknown_address_names_the_nearest(site, asked):
    with pytest.raises(InputError, match=re.escape(asked)):
        trace(site, asked.replace("area_m2", "area"))
    with pytest.raises(InputError, match="folder of one site"):
        trace(site.parent, asked)


def test_an_address_may_be_copied_from_the_page(site, asked):
    assert trace(site, f"file:///x/report.html#{asked}").asked == asked


def test_a_mask_that_was_changed_or_is_gone_is_told(copied, asked):
    first, second = sorted((copied / "masks").glob("*.tif"))[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    found = trace(copied, asked)
    told = "\n".join(found.problems)
    assert f"masks/{first.name}: differs from its hash" in told
    assert f"masks/{second.name}: is not here" in told
    text = "\n".join(lines_of(found))
    assert "DIFFERS" in text
    assert "NOT HERE" in text
    assert lines_of(found)[-1] != "Every link is here, every hash agrees"


def test_a_geopackage_that_was_changed_is_told(copied, asked):
    package = copied / "sim-port.gpkg"
    raw = bytearray(package.read_bytes())
    raw[-1] ^= 1
    package.write_bytes(raw)
    assert any("sim-port.gpkg: differs" in problem for problem in trace(copied, asked).problems)


def test_pixels_that_are_not_here_are_told(copied, asked):
    run = json.loads((copied / "run.json").read_text())
    run["archive_root"] = str(copied / "nowhere")
    (copied / "run.json").write_text(json.dumps(run))
    found = trace(copied, asked)
    assert any("is not here" in problem for problem in found.problems)
    assert {file.state for scene in found.scenes.values() for file in scene.files} == {"missing"}
    assert "IS NOT HERE" in "\n".join(lines_of(found))


def test_on_the_command_line(site, asked):
    done = call("trace", site, asked)
    assert done.returncode == 0
    assert done.stdout.startswith("SIMULATED sim-port: sentence")
    assert json.loads(call("trace", site, asked, "--json").stdout)["asked"] == asked
    refused = call("trace", site, "nothing/at/all")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


# --- how copies came ---


@pytest.fixture
def kept(tmp_path):
    """A copied band in a store, and the manifest's entry of it."""
    folder = tmp_path / "evidence" / "coll" / "item" / "win" / "v1"
    folder.mkdir(parents=True)
    (folder / "blue.tif").write_bytes(b"pixels")
    digest = "b9d5a8e9a4a4fcf0ab52f22c1a0b0d0c0f0c8ae0b1a4bd0bd9f0d12cbb6b6b2a"
    record = {
        "version": 1,
        "identity": "abc",
        "licence": "https://terms.example/",
        "item": {},
        "files": {
            "blue.tif": {
                "href": "https://host.example/B02.tif",
                "sha256": digest,
                "size_bytes": 6,
                "request": {
                    "method": "GET",
                    "url": "https://host.example/B02.tif",
                    "ranges": [[0, 16383], [40000, 50000]],
                },
                "response": {"etag": '"1"', "content-length": "10001"},
                "fetched": "2026-01-02T03:04:05Z",
            }
        },
    }
    (folder / "record.json").write_text(json.dumps(record))
    file = InputFile(
        scene_id="S", item_id="item", band="blue", href="https://host.example/B02.tif", evidence="copy",
        path="coll/item/win/v1/blue.tif", sha256=digest, size_bytes=6,
    )  # fmt: skip
    return file, folder, record


def run_of(folder, records):
    return Run(
        started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:01Z", seconds=1.0, workers=1, log=(), libraries={},
        archive_root=None, evidence_root=str(folder), manifest_sha256="0" * 64, previous_run_sha256=None,
        records=records,
    )  # fmt: skip


def of(tmp_path, file, **records):
    evidence = Evidence(tmp_path / "site", run_of(tmp_path / "elsewhere", records))
    return evidence, evidence.link(file, 0.0)


def test_a_copy_says_how_it_came(tmp_path, kept):
    file, _, record = kept
    evidence, link = of(tmp_path, file)
    assert evidence.roots == {"evidence": str(tmp_path / "evidence")}
    assert link.record["request"] == record["files"]["blue.tif"]["request"]
    assert link.record["licence"] == "https://terms.example/"
    assert link.state == "differs"


def test_the_record_of_a_copy_is_held_against_the_run_s(tmp_path, kept):
    file, folder, _ = kept
    note = "coll/item/win/v1/record.json"
    evidence, link = of(tmp_path, file)
    assert link.record["record_state"] is None
    assert f"{note}: is not in the record of the run; nothing vouches for it" in evidence.problems
    known = hashlib.sha256((folder / "record.json").read_bytes()).hexdigest()
    assert of(tmp_path, file, **{note: known})[1].record["record_state"] == "agrees"
    evidence, link = of(tmp_path, file, **{note: "0" * 64})
    assert link.record["record_state"] == "differs"
    assert f"{note}: differs from its hash" in evidence.problems


def test_a_copy_without_a_record_says_so(tmp_path, kept):
    file, folder, _ = kept
    (folder / "record.json").unlink()
    evidence, link = of(tmp_path, file)
    assert link.record is None
    assert any("no record beside it" in problem for problem in evidence.problems)


def test_a_copy_cut_from_a_larger_window_leads_to_how_that_came(tmp_path, kept):
    file, folder, record = kept
    smaller = folder.parent.parent / "small" / "v1"
    shutil.copytree(folder, smaller)
    record["files"]["blue.tif"]["request"] = {"cut_from": "win/v1/blue.tif", "sha256": file.sha256}
    (smaller / "record.json").write_text(json.dumps(record))
    _, link = of(tmp_path, file.model_copy(update={"path": "coll/item/small/v1/blue.tif"}))
    assert link.record["cut_from_record"]["request"]["ranges"] == [[0, 16383], [40000, 50000]]


def test_a_path_that_leads_out_of_the_evidence_is_not_followed(tmp_path, kept):
    file, _, _ = kept
    (tmp_path / "evidence" / "secret.tif").write_bytes(b"x")
    (tmp_path / "secret.tif").write_bytes(b"x")
    (tmp_path / "site").mkdir()
    evidence, link = of(tmp_path, file.model_copy(update={"path": "../secret.tif"}))
    assert link.state == "missing"
    assert evidence.problems


def test_requests_are_told_in_words(chain, kept, tmp_path):
    file, _, _ = kept
    _, link = of(tmp_path, file)
    scene_id, scene = next(iter(chain.scenes.items()))
    said = "\n".join(lines_of(replace(chain, scenes={scene_id: replace(scene, files=(link,))}), everything=True))
    assert "fetched 2026-01-02T03:04:05Z: method GET, url https://host.example/B02.tif" in said
    assert "byte ranges: 0-16383, 40000-50000" in said
    assert 'etag: "1"' in said
    assert "licence: https://terms.example/" in said
