"""Archives for others: opened, checked and followed with tools that know nothing of us."""

import collections
import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import prov
import pytest
import rasterio
import yaml
from conftest import PORT_YEARS, call, command_line, environment, hashes
from rocrate.rocrate import ROCrate

from pipeline.errors import ProductError
from pipeline.export import archive, entries, readme

SITE = "sim-port"


@pytest.fixture(scope="module")
def results(port, tmp_path_factory):
    """Results of one year whose pixels are copies in a store; do not write into them."""
    folder = tmp_path_factory.mktemp("copied")
    config = {
        "source": {"kind": "simulated", "url": str(port / "catalog.json"), "evidence": "copy"},
        "sites": str(port / "aoi"),
        "claims": str(port / "claims.yaml"),
        "years": {"first": PORT_YEARS[0], "last": PORT_YEARS[0]},
        "out": "results",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = call("run", "--config", folder / "config.yaml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(results, tmp_path):
    """The same, to write into."""
    shutil.copytree(results, tmp_path / "copied")
    return tmp_path / "copied"


def export(folder, to, *more, **options):
    done = call("export", SITE, "--config", folder / "config.yaml", "--to", to, *more, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(results, tmp_path_factory):
    """An archive opened with unzip; do not write into it."""
    folder = tmp_path_factory.mktemp("unpacked")
    export(results, folder / "x.zip")
    subprocess.run(["unzip", "-q", folder / "x.zip", "-d", folder / "x"], check=True)
    return folder / "x"


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_every_hash_agrees_with_tools_of_the_system(unpacked):
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS", "--quiet"], cwd=unpacked, check=False)
    assert done.returncode == 0
    listed = {line.split("  ", 1)[1] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(hashes(unpacked)) - {"SHA256SUMS"}


def test_it_holds_products_evidence_and_records_and_nothing_else(results, unpacked):
    told = manifest(results / "results" / SITE)
    held = hashes(unpacked)
    for output in told["outputs"]:
        assert held.pop(f"{SITE}/{output['path']}") == output["sha256"]
    for file in told["inputs"]:
        assert held.pop(f"evidence/{file['path']}") == file["sha256"]
    for path in [path for path in held if path.startswith("evidence/")]:
        assert path.endswith("/record.json")
        assert held.pop(path) == hashlib.sha256((results / "results" / path).read_bytes()).hexdigest()
    for path in [path for path in held if path.startswith(f"{SITE}/")]:
        assert held.pop(path) == hashlib.sha256((results / "results" / path).read_bytes()).hexdigest()
    rest = {path for path in held if not path.startswith(("method/", "recompute/"))}
    assert rest == {
        "README.md", "LICENCE.md", "SHA256SUMS", "ro-crate-metadata.json", "prov.json", "prov.provn"
    }  # fmt: skip


def test_a_version_that_was_planted_is_named_moves_nothing_and_is_in_no_archive(copied, tmp_path):
    """It lies beside each version that was used, with the same description and a record that agrees with it."""
    out = copied / "results"
    before = hashes(out / SITE)
    for version in sorted((out / "evidence").glob("*/*/*/v1")):
        made = Path(shutil.copytree(version, version.with_name("v2")))
        record = json.loads((made / "record.json").read_text()) | {"version": 2}
        for name, file in record["files"].items():
            with rasterio.open(made / name, "r+") as dataset:
                dataset.write(dataset.read(1)[::-1], 1)
            content = (made / name).read_bytes()
            file |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        (made / "record.json").write_text(json.dumps(record))
    done = call("verify", out)
    assert (done.returncode, "/v2: is in no record of a run" in done.stdout) == (1, True)
    done = call("run", "--config", copied / "config.yaml")
    assert done.returncode == 0, done.stderr
    assert "provider has changed" not in done.stdout + done.stderr
    assert hashes(out / SITE) == before
    export(copied, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert not [name for name in archive.namelist() if "/v2/" in name]


def test_verify_needs_nothing_but_the_archive(copied, tmp_path):
    export(copied, tmp_path / "x.zip")
    shutil.rmtree(copied)
    subprocess.run(["unzip", "-q", tmp_path / "x.zip", "-d", tmp_path / "x"], check=True)
    for folder in (tmp_path / "x" / SITE, tmp_path / "x"):
        done = call("verify", folder)
        assert done.returncode == 0, done.stdout
    file = manifest(tmp_path / "x" / SITE)["inputs"][0]["path"]
    with (tmp_path / "x" / "evidence" / file).open("r+b") as pixels:
        pixels.seek(300)
        pixels.write(b"\xff\x00\xff")
    assert call("verify", tmp_path / "x" / SITE).returncode == 1


def test_files_of_a_referenced_archive_are_copied(small, tmp_path):
    shutil.copytree(small, tmp_path / "small")
    export(tmp_path / "small", tmp_path / "x.zip")
    told = manifest(tmp_path / "small" / "results" / SITE)
    with zipfile.ZipFile(tmp_path / "x.zip") as made:
        for file in told["inputs"]:
            assert file["evidence"] == "reference"
            assert hashlib.sha256(made.read(f"archive/{file['path']}")).hexdigest() == file["sha256"]


def test_the_same_results_give_the_same_bytes(results, copied, tmp_path):
    export(results, tmp_path / "a.zip")
    export(copied, tmp_path / "b.zip", env={"TZ": "Asia/Pyongyang", "LC_ALL": "C", "PYTHONHASHSEED": "7"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_crate_describes_every_file(unpacked):
    crate = ROCrate(unpacked)
    described = {entity.id: entity for entity in crate.data_entities}
    held = hashes(unpacked)
    assert set(described) == set(held) - {"ro-crate-metadata.json"}
    for path, entity in described.items():
        assert entity["encodingFormat"] != "application/octet-stream", path
        assert entity["name"]
        if path != "SHA256SUMS":
            assert entity["sha256"] == held[path]
            assert int(entity["contentSize"]) == (unpacked / path).stat().st_size


def test_the_crate_tells_the_run_as_an_action(unpacked):
    crate, told = ROCrate(unpacked), manifest(unpacked / SITE)
    action = crate.get(f"#run-{SITE}")
    assert action.type == "CreateAction"
    assert action["instrument"]["softwareVersion"].startswith(told["version"])
    assert {f"evidence/{file['path']}" for file in told["inputs"]} <= {entity.id for entity in action["object"]}
    assert f"{SITE}/report.html" in {entity.id for entity in action["result"]}
    run = json.loads((unpacked / SITE / "run.json").read_text())
    assert (action["startTime"], action["endTime"]) == (run["started"], run["finished"])
    assert "SIMULATED" in crate.name


def test_provenance_reads_back_the_same_from_both_forms(unpacked):
    assert prov.read(str(unpacked / "prov.json"), format="json") == prov.read(
        str(unpacked / "prov.provn"), format="provn"
    )


def test_provenance_leads_from_the_report_to_what_the_provider_delivered(unpacked):
    document = json.loads((unpacked / "prov.json").read_text(encoding="utf-8"))
    leads = collections.defaultdict(set)
    for key in ("wasDerivedFrom", "hadPrimarySource"):
        for relation in document.get(key, {}).values():
            leads[relation["prov:generatedEntity"]].add(relation["prov:usedEntity"])
    for relation in document["hadMember"].values():
        members = relation["prov:entity"]
        leads[relation["prov:collection"]] |= {members} if isinstance(members, str) else set(members)
    reached, open_ = set(), [f"in:{SITE}/report.html"]
    while open_:
        name = open_.pop()
        if name not in reached:
            reached.add(name)
            open_ += leads[name]
    told = manifest(unpacked / SITE)
    scenes = {f"in:#scene/{SITE}/{file['scene_id']}" for file in told["inputs"]}
    assert scenes <= leads[f"in:{SITE}/{SITE}.gpkg"]
    for file in told["inputs"]:
        assert f"in:evidence/{file['path']}" in reached
        assert f"in:#delivered/evidence/{file['path']}" in reached
        asked = document["entity"][f"in:#delivered/evidence/{file['path']}"]
        assert asked["schema:url"] == file["href"]
    stated = {name: told["schema:sha256"] for name, told in document["entity"].items() if "schema:sha256" in told}
    held = hashes(unpacked)
    assert len(stated) > len(told["inputs"])
    assert all(held[name.removeprefix("in:")] == digest for name, digest in stated.items())


def test_provenance_names_nothing_it_does_not_tell_of(unpacked):
    document = json.loads((unpacked / "prov.json").read_text(encoding="utf-8"))
    known = {name for kind in ("entity", "activity", "agent") for name in document[kind]}
    for kind, relations in document.items():
        if kind not in {"prefix", "entity", "activity", "agent"}:
            for relation in relations.values():
                for value in (value for key, value in relation.items() if key not in {"prov:time", "prov:type"}):
                    assert {value} <= known if isinstance(value, str) else set(value) <= known, relation


def test_the_fetch_of_a_file_has_the_time_of_its_record(unpacked):
    document = json.loads((unpacked / "prov.json").read_text(encoding="utf-8"))
    file = manifest(unpacked / SITE)["inputs"][0]
    record = json.loads((unpacked / "evidence" / file["path"]).with_name("record.json").read_text())
    told = document["activity"][f"in:#fetch/evidence/{file['path']}"]
    assert told["prov:startTime"].removesuffix("+00:00") == record["files"][f"{file['band']}.tif"]["fetched"].rstrip(
        "Z"
    )


def test_the_readme_tells_the_hash_of_the_manifest_and_files_that_are_there(unpacked):
    text = (unpacked / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# SIMULATED")
    assert hashlib.sha256((unpacked / SITE / "manifest.json").read_bytes()).hexdigest() in text
    named = [part for line in text.splitlines() if line.startswith("| `") for part in line.split("`")[1:2]]
    assert len(named) > 9
    assert all((unpacked / path).exists() for path in named)


def test_the_readme_tells_the_verdicts_of_the_tables(port, port_results, tmp_path):
    done = call("export", SITE, "--config", port / "config.yaml", "--out", port_results, "--to", tmp_path / "x.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "x.zip") as made:
        text = made.read("README.md").decode("utf-8")
        changes = json.loads(made.read(f"{SITE}/tables/changes.json"))["rows"]
        claims = json.loads(made.read(f"{SITE}/tables/claims.json"))["rows"]
    nouns = {"stockpile_area_m2": "The stockpile area", "footprint_area_m2": "The area of occupied ground"}
    told = 0
    for row in changes:
        if row["zone_id"] == "site" and row["metric"] in nouns:
            line = next(
                line for line in text.splitlines() if line.startswith(f"- {nouns[row['metric']]} over the whole")
            )
            assert row["verdict"].replace("_", " ") in line
            told += 1
    assert told == 2
    assert [line for line in text.splitlines() if line.startswith("**Claim:**")] == [
        f"**Claim:** “{row['quote']}” (source: {row['source']})" for row in claims
    ]


def test_signs_of_markdown_in_names_are_only_shown():
    assert readme._said("a_b [x](http://y) <b>\n# c") == r"a\_b \[x\](http://y) \<b\> \# c"


@pytest.mark.parametrize("harm", ["product", "evidence", "manifest", "record"])
def test_results_that_are_not_as_recorded_are_not_exported(copied, tmp_path, harm):
    folder = copied / "results" / SITE
    file = manifest(folder)["inputs"][0]["path"]
    path = {
        "product": folder / "report.html",
        "manifest": folder / "manifest.json",
        "record": folder / "run.json",
        "evidence": copied / "results" / "evidence" / file,
    }[harm]
    path.write_bytes(path.read_bytes() + b" ")
    done = call("export", SITE, "--config", copied / "config.yaml", "--to", tmp_path / "x.zip")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert path.name in done.stderr
    assert not (tmp_path / "x.zip").exists()


def test_a_file_that_changes_while_it_is_copied_leaves_no_archive(tmp_path):
    source = tmp_path / "a.txt"
    source.write_bytes(b"before")
    entry = entries.of_file("a.txt", "document", "", source)
    source.write_bytes(b"after!")
    with pytest.raises(ProductError, match="has changed"):
        archive.write_archive(tmp_path / "x.zip", [entry])
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("kilobytes", [1, 300, 1200])
def test_a_full_disk_leaves_no_half_archive(results, tmp_path, kilobytes):
    # A limit on the size of a file meets the same calls as a full disk.
    command = f'ulimit -f {kilobytes}; exec "$@"'
    arguments = command_line("export", SITE, "--config", results / "config.yaml", "--to", tmp_path / "x.zip")
    done = subprocess.run(
        ["bash", "-c", command, "bash", *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "x.zip: cannot be written" in done.stderr
    assert "name another with --to" in done.stderr
    assert not list(tmp_path.iterdir())


def test_large_archives_are_zip64(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    made = [entries.of_bytes(f"{n}.bin", "document", "", bytes([n]) * 3000) for n in range(3)]
    archive.write_archive(tmp_path / "x.zip", made)
    monkeypatch.undo()
    assert b"PK\x06\x06" in (tmp_path / "x.zip").read_bytes()
    subprocess.run(["unzip", "-tq", tmp_path / "x.zip"], check=True)


def test_no_archive_is_written_over(results, tmp_path):
    (tmp_path / "x.zip").write_text("mine")
    done = call("export", SITE, "--config", results / "config.yaml", "--to", tmp_path / "x.zip")
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "x.zip").read_text() == "mine"


def test_a_site_without_results_is_named(results, tmp_path):
    done = call("export", SITE, "--config", results / "config.yaml", "--out", tmp_path, "--to", tmp_path / "x.zip")
    assert done.returncode == 2
    assert f"{tmp_path / SITE}: holds no finished result" in done.stderr


def test_its_name_tells_site_and_manifest(results, tmp_path):
    call("export", SITE, "--config", results / "config.yaml", cwd=tmp_path)
    digest = hashlib.sha256((results / "results" / SITE / "manifest.json").read_bytes()).hexdigest()
    assert [path.name for path in Path(tmp_path).iterdir()] == [f"stockline-{SITE}-{digest[:12]}.zip"]


def test_only_a_newest_run_that_is_signed_is_said_to_be():
    runs = ["a/runs/0001.json", "a/runs/0001.json.sig", "a/runs/0002.json"]
    assert readme._newest(runs, "a", ".sig") is None
    assert readme._newest([*runs, "a/runs/0002.json.sig"], "a", ".sig") == "a/runs/0002.json"
    assert readme._newest([*runs, "b/runs/0003.json", "b/runs/0003.json.sig"], "a", ".sig") is None
