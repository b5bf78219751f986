"""The manifest names every byte a result rests on, and verify finds each that was changed."""

import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from shapely import box

from pipeline.config import Config, SourceConfig, YearsConfig
from pipeline.errors import InputError, ProductError
from pipeline.imagery import Item, Refusal, Scene, StoredBand, StoredScene
from pipeline.products import atomic, software
from pipeline.products._documents import json_text, own_sha256
from pipeline.products.custody.verify import verify
from pipeline.products.inputs import input_copies, write_inputs
from pipeline.products.manifest import (
    ManifestInputs,
    archive_root,
    build_manifest,
    content_key,
    is_current,
    read_manifest,
    settings_of,
    write_manifest,
)
from pipeline.products.runs import RunFacts, evidence_records, write_run
from pipeline.products.software import code_sha256

WHEN = dt.datetime(2020, 5, 1, 2, 21, tzinfo=dt.UTC)
ROOT = Path(__file__).resolve().parents[1]
SITE_FILE = b'{"type": "FeatureCollection"}'
REMOTE = "https://example.org/scenes/S2A_1/B04.tif"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def scene(name, band):
    item = Item(name, "l2a", WHEN, "sentinel-2a", "05.00", 46, 32652, "52TCL", box(0, 0, 1, 1), {})
    return StoredScene(Scene(name, WHEN, "sentinel-2a", "05.00", 46, (item,)), ((band,),))


def stored(path, href, evidence):
    return StoredBand("red", str(path), digest(path), path.stat().st_size, href, evidence, None, None, None)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def record_of(copy):
    """Record of a version with one file, as the store writes it."""
    file = {"href": REMOTE, "sha256": digest(copy), "size_bytes": copy.stat().st_size}
    window = {"bounds_m": [0, 0, 100, 100]}
    text = json.dumps({"version": 1, "identity": "0" * 16, "files": {"red.tif": file}, "window": window})
    return put(copy.parent / "record.json", text.encode())


def make_inputs(base, site="hoeryong", **changes):
    """One scene copied from afar, one referenced in a local archive."""
    copy = put(base / "out/evidence/l2a/S2A_1/window/v1/red.tif", b"copied pixels")
    record_of(copy)
    reference = put(base / "archive/S2B_2/B04.tif", b"referenced pixels")
    scenes = (
        scene("S2B_2", stored(reference, str(reference), "reference")),
        scene("S2A_1", stored(copy, REMOTE, "copy")),
    )
    config = Config(
        sites=base / "aoi", out=base / "out", source=SourceConfig(url=str(base / "archive/catalog.json"), retries=2)
    )
    inputs = ManifestInputs(
        site=site,
        simulated=False,
        config=config,
        site_sha256=hashlib.sha256(SITE_FILE).hexdigest(),
        claims_sha256=None,
        scenes=scenes,
        refused=(Refusal("S2A_9", WHEN, None, None, None, "cloud"),),
        evidence_root=base / "out/evidence",
        archive_root=archive_root(config.source.url, scenes),
        documents={"inputs/site.geojson": SITE_FILE},
    )
    return dataclasses.replace(inputs, **changes)


def make_result(base, site="hoeryong", runs=1):
    inputs = make_inputs(base, site)
    folder = base / "out" / site
    products = [
        put(folder / f"{site}.gpkg", b"layers"),
        put(folder / "report.html", b"<p>report</p>"),
        put(folder / "composites/2020.tif", b"composite"),
        *write_inputs(folder, inputs),
    ]
    made = build_manifest(inputs, folder, products)
    write_manifest(folder, made)
    for index in range(runs):
        start = WHEN + dt.timedelta(days=index)
        write_run(folder, facts_of(made, inputs, start, start + dt.timedelta(seconds=90.5)))
    return folder, inputs


def facts_of(made, inputs, start, finish, **more):
    """What a run tells of itself, with what came with its evidence."""
    records = evidence_records(made.inputs, inputs.evidence_root)
    return RunFacts(start, finish, 2, ("2 scenes",), inputs.evidence_root, inputs.archive_root, records=records, **more)


def flip(path, position=3):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


# ---------------------------------------------------------------- content


def test_manifest_holds_what_was_hashed_by_hand(tmp_path):
    folder, inputs = make_result(tmp_path)
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert text == json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert document["inputs"] == [
        {
            "scene_id": "S2A_1", "item_id": "S2A_1", "band": "red", "href": REMOTE, "evidence": "copy",
            "path": "l2a/S2A_1/window/v1/red.tif", "size_bytes": 13,
            "sha256": hashlib.sha256(b"copied pixels").hexdigest(),
        },
        {
            "scene_id": "S2B_2", "item_id": "S2B_2", "band": "red", "href": "S2B_2/B04.tif", "evidence": "reference",
            "path": "S2B_2/B04.tif", "size_bytes": 17,
            "sha256": hashlib.sha256(b"referenced pixels").hexdigest(),
        },
    ]  # fmt: skip
    assert document["outputs"] == [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in [
            ("composites/2020.tif", b"composite"),
            ("hoeryong.gpkg", b"layers"),
            ("inputs/site.geojson", SITE_FILE),
            ("report.html", b"<p>report</p>"),
        ]
    ]
    assert document["refused"] == [{"scene_id": "S2A_9", "reason": "cloud"}]
    assert document["format"] == 2
    assert document["site"] == "hoeryong"
    assert document["simulated"] is False
    assert document["key"] == content_key(inputs)
    settings = json.dumps(document["settings"], sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert document["settings_sha256"] == hashlib.sha256(settings.encode()).hexdigest()
    assert read_manifest(folder).model_dump(mode="json") == document


def test_manifest_has_the_same_bytes_on_another_machine_and_in_another_order(tmp_path):
    (tmp_path / "elsewhere/deeper").mkdir(parents=True)
    first, inputs = make_result(tmp_path)
    second, _ = make_result(tmp_path / "elsewhere/deeper", runs=3)
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()
    assert str(tmp_path) not in (first / "manifest.json").read_text(encoding="utf-8")
    turned = dataclasses.replace(inputs, scenes=inputs.scenes[::-1])
    outputs = [first / "inputs/site.geojson", first / "report.html", first / "hoeryong.gpkg"]
    outputs.append(first / "composites/2020.tif")
    assert build_manifest(turned, first, outputs) == read_manifest(first)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_manifest import make_result
make_result(Path(sys.argv[3]))
"""


def test_manifest_has_the_same_bytes_in_another_time_zone_and_locale(tmp_path):
    texts = set()
    for zone, language, seed in (("UTC", "C", "1"), ("Asia/Pyongyang", "ko_KR.UTF-8", "2")):
        base = tmp_path / seed
        environment = {**os.environ, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", SCRIPT, str(ROOT), str(ROOT / "tests"), str(base)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        texts.add((base / "out/hoeryong/manifest.json").read_bytes())
        assert json.loads((base / "out/hoeryong/run.json").read_bytes())["started"] == "2020-05-01T02:21:00Z"
    assert len(texts) == 1


def test_key_changes_with_each_of_its_parts_and_with_nothing_else(tmp_path, monkeypatch):
    inputs = make_inputs(tmp_path)
    key = content_key(inputs)
    changed = [
        dataclasses.replace(inputs, config=inputs.config.model_copy(update={"years": YearsConfig(first=2018)})),
        dataclasses.replace(inputs, site_sha256="2" * 64),
        dataclasses.replace(inputs, claims_sha256="3" * 64),
        dataclasses.replace(inputs, scenes=inputs.scenes[:1]),
        dataclasses.replace(inputs, refused=()),
        dataclasses.replace(inputs, simulated=True),
    ]
    flip(tmp_path / "archive/S2B_2/B04.tif")
    changed.append(make_inputs(tmp_path))
    put(tmp_path / "archive/S2B_2/B04.tif", b"Referenced pixels")
    other = stored(tmp_path / "archive/S2B_2/B04.tif", str(tmp_path / "archive/S2B_2/B04.tif"), "reference")
    changed[-1] = dataclasses.replace(inputs, scenes=(scene("S2B_2", other), inputs.scenes[1]))
    assert len({key, *map(content_key, changed)}) == len(changed) + 1
    patient = inputs.config.source.model_copy(update={"retries": 9, "timeout_s": 5.0})
    moved = inputs.config.model_copy(update={"source": patient, "out": tmp_path / "x", "claims": tmp_path / "c.yaml"})
    assert content_key(dataclasses.replace(inputs, config=moved)) == key
    monkeypatch.setattr(software, "code_sha256", lambda: "4" * 64)
    assert content_key(inputs) != key


def test_settings_hold_no_path_of_this_machine():
    config = Config(source=SourceConfig(url="https://example.org/stac"))
    settings = settings_of(config)
    assert settings["source"]["url"] == "https://example.org/stac"
    assert settings["years"] == {"first": 2017, "last": 2025, "baseline": None}
    assert {"sites", "claims", "out"}.isdisjoint(settings)
    assert settings_of(Config(source=SourceConfig(url="/home/x/a/catalog.json")))["source"]["url"] == "catalog.json"


def test_code_hash_sees_sources_and_templates_but_no_caches(tmp_path, monkeypatch):
    package = tmp_path / "somepackage"
    put(package / "__init__.py", b"")
    put(package / "inner/a.py", b"x = 1\n")
    put(package / "inner/page.html", b"<p>")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_sha256(["somepackage"])
    put(package / "inner/__pycache__/a.pyc", b"compiled")
    put(package / "inner/.a.py.swp", b"an editor's")
    assert code_sha256(["somepackage"]) == before
    put(package / "inner/page.html", b"<h1>")
    template = code_sha256(["somepackage"])
    put(package / "inner/a.py", b"x = 2\n")
    source = code_sha256(["somepackage"])
    (package / "inner/a.py").rename(package / "inner/b.py")
    assert len({before, template, source, code_sha256(["somepackage"])}) == 4


def test_archive_root_holds_the_catalogue_and_all_it_refers_to(tmp_path):
    pixels = put(tmp_path / "pixels/B04.tif", b"x")
    beside = scene("S", stored(pixels, f"file://{pixels}", "reference"))
    assert archive_root(str(tmp_path / "catalog/catalog.json"), [beside]) == tmp_path
    assert archive_root(str(tmp_path / "catalog/catalog.json"), []) == tmp_path / "catalog"
    assert archive_root("https://example.org/stac", []) is None


def test_files_outside_their_root_are_refused(tmp_path):
    inputs = make_inputs(tmp_path)
    with pytest.raises(ProductError, match="lies outside"):
        content_key(dataclasses.replace(inputs, archive_root=tmp_path / "aoi"))
    with pytest.raises(ProductError, match="lies outside"):
        build_manifest(inputs, tmp_path / "out/hoeryong", [put(tmp_path / "report.html", b"")])
    with pytest.raises(ProductError, match="cannot be read"):
        build_manifest(inputs, tmp_path, [tmp_path / "report.pdf"])


# ---------------------------------------------------------------- copies of inputs


def test_copies_of_inputs_are_the_bytes_that_were_read(tmp_path):
    claims, ledger = b"claims: []\n", b'{"line": 1}\n'
    read = {"hoeryong.geojson": SITE_FILE, "yodok.geojson": b"another", "claims.yaml": claims}
    documents = input_copies("hoeryong", read, ledger)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in documents.items()}
    inputs = make_inputs(
        tmp_path,
        documents=documents,
        claims_sha256=hashlib.sha256(claims).hexdigest(),
        reviews_sha256=hashlib.sha256(ledger).hexdigest(),
    )
    written = write_inputs(tmp_path / "site", inputs)
    assert {path.relative_to(tmp_path / "site").as_posix(): digest(path) for path in written} == hashes
    assert (tmp_path / "site/inputs/site.geojson").read_bytes() == SITE_FILE
    for name in documents:
        changed = dataclasses.replace(inputs, documents=documents | {name: b"since edited"})
        with pytest.raises(ProductError, match=f"{name}: differs from what site hoeryong was measured by"):
            write_inputs(tmp_path / "other", changed)
        lacking = {kept: content for kept, content in documents.items() if kept != name}
        with pytest.raises(ProductError, match=name):
            write_inputs(tmp_path / "other", dataclasses.replace(inputs, documents=lacking))
    with pytest.raises(ProductError, match=r"reviews\.jsonl"):
        write_inputs(tmp_path / "other", dataclasses.replace(inputs, reviews_sha256=None))
    assert input_copies("hoeryong", read, b"").keys() == {"inputs/site.geojson", "inputs/claims.yaml"}


def test_a_copy_that_is_not_of_the_input_is_named(tmp_path):
    folder, inputs = make_result(tmp_path, runs=0)
    made = read_manifest(folder)
    put(folder / "inputs/site.geojson", b"another site")
    outputs = [folder / output.path for output in made.outputs]
    write_manifest(folder, build_manifest(inputs, folder, outputs))
    write_run(folder, facts_of(made, inputs, WHEN, WHEN))
    assert [str(problem) for problem in verify(folder)] == [
        "manifest.json: names another hash for inputs/site.geojson than for the input it is a copy of"
    ]


def test_the_chain_of_a_copied_ledger_is_checked(tmp_path):
    ledger = b'{"line": 1}\n'
    inputs = make_inputs(tmp_path, reviews_sha256=hashlib.sha256(ledger).hexdigest())
    inputs = dataclasses.replace(inputs, documents=inputs.documents | {"inputs/reviews.jsonl": ledger})
    folder = tmp_path / "out/hoeryong"
    made = build_manifest(inputs, folder, [put(folder / "report.html", b""), *write_inputs(folder, inputs)])
    write_manifest(folder, made)
    write_run(folder, facts_of(made, inputs, WHEN, WHEN))
    (problem,) = [one for one in verify(folder) if one.path == "inputs/reviews.jsonl"]
    assert problem.kind == "differs"
    assert problem.detail.startswith("its own chain is broken: line 1")


# ---------------------------------------------------------------- software


def test_the_software_is_every_library_that_is_needed_and_no_other(tmp_path, monkeypatch):
    """Held against what pip itself says of the installation."""
    told = software.libraries()
    assert list(told) == sorted(told)
    shown = subprocess.run([sys.executable, "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
    installed = {re.sub(r"[-_.]+", "-", p["name"]).lower(): p["version"] for p in json.loads(shown.stdout)}
    assert {name: installed.get(name) for name in told} == told
    assert {"numpy", "rasterio", "dask", "distributed", "numba", "llvmlite", "tornado"} <= told.keys()
    assert {"pytest", "ruff", "stockline", "playwright"}.isdisjoint(told)


def made_distribution(folder, name, *requires):
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {r}" for r in requires)]
    put(folder / f"{name}-1.0.dist-info/METADATA", "\n".join(lines).encode())


def test_libraries_are_followed_through_markers_and_extras(tmp_path, monkeypatch):
    made_distribution(
        tmp_path, "top", "b[more]", 'c; python_version < "3"', 'dev; extra == "dev"', "top[dev]; extra == 'x'"
    )
    made_distribution(tmp_path, "b", 'd; extra == "more"', 'e; extra == "less"', "top")
    made_distribution(tmp_path, "d", "gone_away>=2")
    monkeypatch.syspath_prepend(tmp_path)
    assert software.libraries("top") == {"b": "1.0", "d": "1.0", "gone-away": "absent"}
    with pytest.raises(ProductError, match="is not installed"):
        software.libraries("never-made")


def test_the_commit_is_that_of_the_checkout_and_said_to_differ_where_it_does(tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    put(tree / "pipeline/products/software.py", b"")
    put(tree / "pipeline/__init__.py", b"")
    monkeypatch.setattr(software, "__file__", str(tree / "pipeline/products/software.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    def git(*words):
        told = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        done = subprocess.run(["git", *told, *words], cwd=tree, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    assert software.commit() == (None, None), "no commit yet"
    git("add", "pipeline/products/software.py")
    git("commit", "-qm", "first")
    assert software.commit() == (None, None), "somebody's repository, of which the package is no part"
    git("add", ".")
    git("commit", "-qm", "second")
    assert software.commit() == (git("rev-parse", "HEAD"), False)
    put(tree / "notes.txt", b"beside")
    assert software.commit()[1] is False
    put(tree / "pipeline/new.py", b"x")
    assert software.commit()[1] is True
    monkeypatch.setenv("PATH", str(tmp_path))
    assert software.commit() == (None, None), "git is not installed"


def test_another_library_makes_another_key_and_another_commit_does_not(tmp_path, monkeypatch):
    inputs = make_inputs(tmp_path)
    key, made = content_key(inputs), software.made_with()
    monkeypatch.setattr(software, "commit", lambda: ("1" * 40, True))
    assert content_key(inputs) == key
    assert software.made_with() == made
    for name in ("libraries", "bundled"):
        with monkeypatch.context() as patch:
            patch.setattr(software, name, lambda: {"numpy": "0.1"})
            assert content_key(inputs) != key
            assert software.made_with() != made


def test_a_result_of_format_1_is_still_checked(tmp_path):
    """As the version before wrote it: no code, no copies of inputs, no kept files, records without their own hash."""
    folder, _ = make_result(tmp_path, runs=0)
    shutil.rmtree(folder / "inputs")
    document = json.loads((folder / "manifest.json").read_text())
    document |= {"format": 1, "outputs": [o for o in document["outputs"] if not o["path"].startswith("inputs/")]}
    del document["code"]
    text = json_text(document).encode()
    put(folder / "manifest.json", text)
    previous = None
    for number in (1, 2):
        run = {
            "started": "2020-05-01T02:21:00Z", "finished": "2020-05-01T02:22:30Z", "seconds": 90.5, "workers": 2,
            "log": [], "libraries": {}, "archive_root": str(tmp_path / "archive"),
            "evidence_root": str(tmp_path / "out/evidence"), "manifest_sha256": hashlib.sha256(text).hexdigest(),
            "previous_run_sha256": previous,
        }  # fmt: skip
        path = put(folder / f"runs/000{number}.json", json_text(run).encode())
        previous = digest(path)
    shutil.copy(path, folder / "run.json")
    assert verify(folder) == []
    flip(folder / "report.html")
    assert told(folder) == [("report.html", "differs")]
    flip(folder / "report.html")
    path.write_bytes(path.read_bytes().replace(b'"workers": 2', b'"workers": 3'))
    assert told(folder) == [("run.json", "differs"), ("runs/0002.json", "differs")]


# ---------------------------------------------------------------- runs


def test_each_run_holds_the_hash_of_the_one_before(tmp_path):
    folder, _ = make_result(tmp_path, runs=3)
    runs = [folder / "runs" / name for name in ("0001.json", "0002.json", "0003.json")]
    documents = [json.loads(path.read_bytes()) for path in runs]
    assert [document["previous_run_sha256"] for document in documents] == [None, digest(runs[0]), digest(runs[1])]
    assert (folder / "run.json").read_bytes() == runs[2].read_bytes()
    assert {document["manifest_sha256"] for document in documents} == {digest(folder / "manifest.json")}
    assert documents[0]["started"] == "2020-05-01T02:21:00Z"
    assert documents[0]["seconds"] == 90.5
    assert documents[0]["archive_root"] == str(tmp_path / "archive")
    assert "numpy" in documents[0]["libraries"]


def test_a_run_needs_its_manifest(tmp_path):
    with pytest.raises(ProductError, match=r"manifest\.json: is not there"):
        write_run(tmp_path, RunFacts(WHEN, WHEN, 1, (), tmp_path, None))


def test_a_site_is_current_only_while_all_of_it_is_as_recorded(tmp_path):
    folder, inputs = make_result(tmp_path)
    assert is_current(folder, inputs)
    assert not is_current(folder, dataclasses.replace(inputs, simulated=True))
    assert not is_current(tmp_path / "never", inputs)
    names = ("hoeryong.gpkg", "composites/2020.tif", "manifest.json", "inputs/site.geojson")
    for path in (folder / name for name in names):
        content = path.read_bytes()
        flip(path, 5)
        assert not is_current(folder, inputs), path
        path.unlink()
        assert not is_current(folder, inputs), path
        path.write_bytes(content)
        assert is_current(folder, inputs), path
    (folder / "run.json").unlink()  # interrupted between manifest and run: it is run again
    assert not is_current(folder, inputs)


def test_what_a_provider_says_later_of_the_same_pixels_is_recorded_by_the_next_run(tmp_path):
    folder, inputs = make_result(tmp_path)
    window = tmp_path / "out/evidence/l2a/S2A_1/window"
    note = put(window / "described/0123456789abcdef.json", b'{"version": 1}')
    name = note.relative_to(tmp_path / "out").as_posix()
    assert told(folder.parent) == [(name, "extra")]
    assert told(folder) == [], "others may write into a store beside it"
    assert not is_current(folder, inputs)
    write_run(folder, facts_of(read_manifest(folder), inputs, WHEN, WHEN))
    assert is_current(folder, inputs)
    assert told(folder.parent) == []
    flip(note)
    assert told(folder.parent) == [(name, "differs")]
    note.unlink()
    assert told(folder.parent) == [(name, "missing")]


def test_a_version_that_only_a_former_run_used_is_still_checked(tmp_path):
    """The provider has changed a scene since: the first result rests on v1, the present one on v2."""
    folder, inputs = make_result(tmp_path)
    copy = put(tmp_path / "out/evidence/l2a/S2A_1/window/v2/red.tif", b"other pixels")
    record_of(copy)
    scenes = (inputs.scenes[0], scene("S2A_1", stored(copy, REMOTE, "copy")))
    later = dataclasses.replace(inputs, scenes=scenes)
    made = build_manifest(later, folder, [folder / output.path for output in read_manifest(folder).outputs])
    write_manifest(folder, made)
    write_run(folder, facts_of(made, later, WHEN, WHEN))
    assert told(folder.parent) == []
    for version in ("v1", "v2"):
        for name in ("red.tif", "record.json"):
            path = copy.parents[1] / version / name
            content = path.read_bytes()
            flip(path)
            assert told(folder.parent) == [(f"evidence/l2a/S2A_1/window/{version}/{name}", "differs")]
            path.unlink()
            assert told(folder.parent) == [(f"evidence/l2a/S2A_1/window/{version}/{name}", "missing")]
            path.write_bytes(content)


@pytest.mark.parametrize("name", ["v2", "v10"])
def test_a_version_that_no_run_tells_of_is_named_with_its_files(tmp_path, name):
    folder, inputs = make_result(tmp_path)
    out = folder.parent
    copy = put(out / f"evidence/l2a/S2A_1/window/{name}/red.tif", b"other pixels")
    record_of(copy)
    where = f"evidence/l2a/S2A_1/window/{name}"
    named = [(where, "extra"), (f"{where}/record.json", "extra"), (f"{where}/red.tif", "extra")]
    assert told(out) == named
    assert {problem.detail for problem in verify(out)} == {"is in no record of a run"}
    # A run of before records were kept names a version by its manifest; also where the one it rests on is gone.
    (folder / "run.json").unlink()
    shutil.rmtree(folder / "runs")
    write_run(folder, dataclasses.replace(facts_of(read_manifest(folder), inputs, WHEN, WHEN), records={}))
    assert told(out) == named
    # The evidence of a site's own is known to be so; beside a site alone others may write.
    assert told(folder) == []
    shutil.move(out / "evidence", folder / "evidence")
    assert told(folder) == named
    # The run that rests on it is finished.
    shutil.move(folder / "evidence", out / "evidence")
    later = dataclasses.replace(inputs, scenes=(inputs.scenes[0], scene("S2A_1", stored(copy, REMOTE, "copy"))))
    made = build_manifest(later, folder, [folder / output.path for output in read_manifest(folder).outputs])
    write_manifest(folder, made)
    write_run(folder, facts_of(made, later, WHEN, WHEN))
    assert told(out) == []


def test_a_version_beside_one_that_is_gone_is_named(tmp_path):
    folder, _ = make_result(tmp_path)
    window = folder.parent / "evidence/l2a/S2A_1/window"
    (window / "v1").rename(window / "v2")
    assert {path for path, kind in told(folder.parent) if kind == "extra"} == {
        f"evidence/l2a/S2A_1/window/v2{name}" for name in ("", "/red.tif", "/record.json")
    }


def test_a_window_that_no_run_uses_yet_is_checked_by_its_own_records(tmp_path):
    folder, _ = make_result(tmp_path)
    copy = put(folder.parent / "evidence/l2a/S2A_2/window/v1/red.tif", b"of an interrupted batch")
    record_of(copy)
    assert told(folder.parent) == []
    flip(copy)
    assert told(folder.parent) == [("evidence/l2a/S2A_2/window/v1/red.tif", "differs")]


def test_what_lies_about_in_a_result_is_named_and_working_records_are_not(tmp_path):
    folder, _ = make_result(tmp_path)
    out = folder.parent
    working = (
        "batch.json", "state.sqlite", "state.sqlite-wal", "state.sqlite.aside-1", "summary.json", "digest.md",
        "logs/0001.jsonl", ".lock", ".memory/hoeryong/x", ".work/y", "hoeryong/review.gpkg", "hoeryong/review.gpkg-wal",
        "hoeryong/.report.html.part/report.html", "evidence/l2a/S2A_1/window/.lock",
        "evidence/l2a/S2A_1/window/.part-0123/records/red.json", "hoeryong/.stockline-rebuilt/x",
    )  # fmt: skip
    for name in working:
        put(out / name, b"x")
    put(folder / ".lock", b"")
    assert told(out) == []
    strange = (
        "notes.txt", "logs/notes.txt", "logs/deeper/0001.jsonl", ".hidden", "elsewhere/manifest.json.bak",
        "hoeryong/hoeryong.gpkg-wal", "hoeryong/.other.part/other", "hoeryong/runs/0001.json.bak",
        "hoeryong/masks/a.tif", "hoeryong/inputs/claims.yaml", "hoeryong/tables/deeper/x.csv", "hoeryong/.DS_Store",
        "evidence/x.tif", "evidence/l2a/x.tif", "evidence/l2a/S2A_1/x.tif", "evidence/l2a/S2A_1/window/x.tif",
        "evidence/l2a/S2A_1/window/v1/swir16.tif", "evidence/l2a/S2A_1/window/v1/deeper/x.tif",
        "evidence/l2a/S2A_1/window/described/x.json", "evidence/l2a/S2A_1/window/v0/red.tif",
        "hoeryong/.work/x", "hoeryong/.memory/x", "hoeryong/.lock", "hoeryong/.gathered/x",
    )  # fmt: skip
    for name in strange:
        path = put(out / name, b"x")
        assert told(out) == [(name, "extra")], name
        path.unlink()
    for name in ("hoeryong/link", "link", "evidence/l2a/link", "evidence/l2a/S2A_1/window/v1/link"):
        (out / name).symlink_to(tmp_path)
        assert told(out) == [(name, "unsafe")], name
        (out / name).unlink()
    os.mkfifo(folder / "report.html.pipe")
    assert told(out) == [("hoeryong/report.html.pipe", "extra")]


def test_an_interrupted_manifest_leaves_the_former_one(tmp_path, monkeypatch):
    folder, _ = make_result(tmp_path)
    before = (folder / "manifest.json").read_bytes()
    found = read_manifest(folder)

    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "flush", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_manifest(folder, found.model_copy(update={"site": "other"}))

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "flush", full)
    with pytest.raises(ProductError, match=r"No space left on device.*free disk space"):
        write_manifest(folder, found.model_copy(update={"site": "other"}))
    assert (folder / "manifest.json").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


# ---------------------------------------------------------------- verify


def told(folder):
    return [(problem.path, problem.kind) for problem in verify(folder)]


def test_an_untouched_result_has_no_problem_also_when_moved_with_its_evidence(tmp_path):
    folder, _ = make_result(tmp_path, runs=2)
    assert verify(folder) == []
    assert verify(folder.parent) == []
    moved = tmp_path / "moved"
    (tmp_path / "out").rename(moved)
    assert verify(moved / "hoeryong") == []
    (moved / "evidence").rename(moved / "hoeryong/evidence")
    assert verify(moved) == []
    assert verify(moved / "hoeryong") == []


@pytest.mark.parametrize("name", ["hoeryong.gpkg", "report.html", "composites/2020.tif"])
def test_a_changed_or_removed_output_is_named(tmp_path, name):
    folder, _ = make_result(tmp_path)
    flip(folder / name)
    assert told(folder) == [(name, "differs")]
    assert told(folder.parent) == [(f"hoeryong/{name}", "differs")]
    (folder / name).unlink()
    assert told(folder) == [(name, "missing")]
    assert name in str(verify(folder)[0])


def test_changed_or_removed_evidence_is_named(tmp_path):
    folder, _ = make_result(tmp_path)
    copy = tmp_path / "out/evidence/l2a/S2A_1/window/v1/red.tif"
    reference = tmp_path / "archive/S2B_2/B04.tif"
    flip(copy)
    assert told(folder) == [(str(copy), "differs")]
    assert told(folder.parent) == [("evidence/l2a/S2A_1/window/v1/red.tif", "differs")]
    flip(copy)
    flip(reference)
    assert told(folder) == [(str(reference), "differs")]
    flip(reference)
    reference.unlink()
    assert [str(problem) for problem in verify(folder)] == [
        "manifest.json: incomplete: referenced file S2B_2/B04.tif is not here"
    ]
    copy.unlink()
    assert told(folder) == [(str(copy), "missing"), ("manifest.json", "incomplete")]


def test_a_copy_whose_record_is_gone_or_says_otherwise_is_named(tmp_path):
    folder, _ = make_result(tmp_path)
    copy = tmp_path / "out/evidence/l2a/S2A_1/window/v1/red.tif"
    record = copy.parent / "record.json"
    before = record.read_text()
    record.write_text(before.replace(digest(copy), "0" * 64))
    assert told(folder) == [(str(record), "differs")]
    record.write_text(before.replace("window", "windows"))
    assert told(folder) == [(str(record), "differs")]
    record.unlink()
    assert told(folder) == [(str(record), "missing")]


def test_a_record_of_evidence_of_which_no_run_tells_must_say_the_same_as_the_manifest(tmp_path):
    folder, inputs = make_result(tmp_path, runs=0)
    write_run(folder, RunFacts(WHEN, WHEN, 1, (), inputs.evidence_root, inputs.archive_root))
    copy = tmp_path / "out/evidence/l2a/S2A_1/window/v1/red.tif"
    record = copy.parent / "record.json"
    record.write_text(record.read_text().replace(digest(copy), "0" * 64))
    assert [str(p) for p in verify(folder)] == [
        f"{copy}: has another hash in the record beside it than in the manifest"
    ]
    record.unlink()
    assert next(str(p) for p in verify(folder)) == f"{copy}: has no record beside it that can be read"


def test_an_extra_composite_is_named(tmp_path):
    folder, _ = make_result(tmp_path)
    put(folder / "composites/2031.tif", b"slipped in")
    assert told(folder) == [("composites/2031.tif", "extra")]


@pytest.mark.parametrize("escape", ["../secret", "/etc/hostname", "..\\secret", "C:\\secret", "a/../../secret", ""])
@pytest.mark.parametrize("part", ["outputs", "inputs"])
def test_a_path_that_leaves_the_folder_is_a_problem_and_is_not_followed(tmp_path, part, escape):
    folder, inputs = make_result(tmp_path, runs=0)
    document = json.loads((folder / "manifest.json").read_bytes())
    document[part][-1]["path"] = escape
    (folder / "manifest.json").write_text(json.dumps(document), encoding="utf-8")
    write_run(folder, RunFacts(WHEN, WHEN, 1, (), inputs.evidence_root, inputs.archive_root))
    unsafe = [problem for problem in verify(folder) if problem.kind == "unsafe"]
    assert [problem.path for problem in unsafe] == ["manifest.json"]
    assert repr(escape) in unsafe[0].detail


def test_a_link_out_of_the_folder_is_a_problem(tmp_path):
    folder, _ = make_result(tmp_path)
    (folder / "report.html").rename(tmp_path / "report.html")
    (folder / "report.html").symlink_to(tmp_path / "report.html")
    assert told(folder) == [("report.html", "unsafe")]
    (folder / "report.html").unlink()
    (folder / "composites").rename(tmp_path / "composites")
    (folder / "composites").symlink_to(tmp_path / "composites")
    assert {("manifest.json", "unsafe"), ("composites", "unsafe")} <= set(told(folder))


def test_a_changed_manifest_is_named_by_its_run(tmp_path):
    folder, _ = make_result(tmp_path)
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("cloud", "clear"), encoding="utf-8")
    assert told(folder) == [("manifest.json", "differs")]
    path.write_text("{", encoding="utf-8")
    assert set(told(folder)) == {("manifest.json", "differs")}
    path.write_text(text.replace('"site"', '"sight"'), encoding="utf-8")
    assert set(told(folder)) == {("manifest.json", "differs")}
    path.unlink()
    assert told(folder) == [("manifest.json", "missing")]


def test_the_chain_of_runs_is_checked(tmp_path):
    folder, _ = make_result(tmp_path, runs=3)
    first, second, last = (folder / "runs" / name for name in ("0001.json", "0002.json", "0003.json"))
    kept = {path: path.read_bytes() for path in (first, second, last, folder / "run.json")}
    for path, content in kept.items():
        name = path.relative_to(folder).as_posix()
        for position in (3, len(content) // 2, -2):
            flip(path, position)
            assert told(folder) == [(name, "differs")], (name, position)
            path.write_bytes(content)
        path.write_bytes(content + b" ")
        assert told(folder) == [(name, "differs")]
        path.unlink()
        assert told(folder) == [(name, "missing")]
        path.write_bytes(content)
    (folder / "run.json").write_bytes(b"null")
    assert told(folder) == [("run.json", "differs")]
    shutil.rmtree(folder / "runs")
    (folder / "run.json").write_bytes(kept[folder / "run.json"])
    named = told(folder)
    assert {("runs", "missing"), *((f"runs/000{n}.json", "missing") for n in (1, 2, 3))} <= set(named)


def forged(content, **changes):
    """A record that was changed by someone who knows how it vouches for itself."""
    document = json.loads(content) | changes
    return json_text(document | {"own_sha256": own_sha256(document)}).encode()


def test_a_forged_record_is_named_by_its_neighbours(tmp_path):
    folder, _ = make_result(tmp_path, runs=3)
    first, last = folder / "runs/0001.json", folder / "runs/0003.json"
    before, newest = first.read_bytes(), last.read_bytes()
    first.write_bytes(forged(before, workers=7))
    assert [str(p) for p in verify(folder)] == ["runs/0001.json: differs from the hash in runs/0002.json"]
    first.write_bytes(before)
    last.write_bytes(forged(newest, workers=7))
    assert [str(p) for p in verify(folder)] == ["run.json: differs from the newest run, runs/0003.json"]
    last.write_bytes(forged(newest, previous_manifest_sha256="0" * 64))
    assert "runs/0003.json: names another manifest than runs/0002.json" in [str(p) for p in verify(folder)]
    last.write_bytes(forged(newest, number=7))
    assert "runs/0003.json: is the record of run 7" in [str(p) for p in verify(folder)]
    last.write_bytes(forged(newest, archives={"../secret": "0" * 64}))
    assert ("runs/0003.json", "unsafe") in told(folder)
    last.write_bytes(forged(newest, number=10**12))
    (folder / "run.json").write_bytes(last.read_bytes())
    assert ("runs/0003.json", "differs") in told(folder), "and it does not count to it"
    first.write_bytes(forged(before, previous_run_sha256="0" * 64))
    assert "runs/0001.json: names a run before the first" in [str(p) for p in verify(folder)]


def test_a_run_keeps_its_manifest_and_its_numbers_whatever_comes_later(tmp_path):
    folder, inputs = make_result(tmp_path)
    made = read_manifest(folder)
    former = (folder / "manifest.json").read_bytes()
    numbers = {"format": 1, "facts": {}, "rows": {"changes": {"changes/site/a": {"delta": 0.1, "name": "회령"}}}}
    put(folder / "report.html", b"<p>another</p>")
    outputs = [folder / output.path for output in made.outputs]
    write_manifest(folder, build_manifest(inputs, folder, outputs))
    run = write_run(folder, facts_of(made, inputs, WHEN, WHEN, numbers=numbers))
    assert gzip.decompress((folder / "runs/0001.manifest.json.gz").read_bytes()) == former
    assert (
        gzip.decompress((folder / "runs/0002.manifest.json.gz").read_bytes()) == (folder / "manifest.json").read_bytes()
    )
    text = gzip.decompress((folder / "runs/0002.numbers.json.gz").read_bytes())
    assert json.loads(text) == numbers
    assert run.numbers_sha256 == hashlib.sha256(text).hexdigest()
    assert run.previous_manifest_sha256 == hashlib.sha256(former).hexdigest()
    assert run.archives == {
        f"runs/0002.{name}.json.gz": digest(folder / f"runs/0002.{name}.json.gz") for name in ("manifest", "numbers")
    }
    assert verify(folder) == []
    for name in ("0001.manifest.json.gz", "0002.manifest.json.gz", "0002.numbers.json.gz"):
        path = folder / "runs" / name
        content = path.read_bytes()
        for position in (*range(20), *range(20, len(content), 97)):  # also in the head, where it would unpack as before
            flip(path, position)
            assert told(folder) == [(f"runs/{name}", "differs")], (name, position)
            path.write_bytes(content)
        path.unlink()
        assert told(folder) == [(f"runs/{name}", "missing")]
        path.write_bytes(content)


def test_a_record_is_never_written_over_and_its_number_not_the_clock_gives_the_order(tmp_path):
    folder, inputs = make_result(tmp_path, runs=3)
    made = read_manifest(folder)
    (folder / "runs/0002.json").unlink()
    third = (folder / "runs/0003.json").read_bytes()
    earlier = WHEN - dt.timedelta(days=400)
    run = write_run(folder, facts_of(made, inputs, earlier, earlier - dt.timedelta(seconds=5)))
    assert run.number == 4
    assert run.previous_run_sha256 == hashlib.sha256(third).hexdigest()
    assert (folder / "runs/0003.json").read_bytes() == third
    assert "the clock stands before the end of the former run, 2020-05-03T02:22:30Z" in run.log
    assert told(folder) == [("runs/0002.json", "missing")]


def test_all_sites_are_checked_and_each_is_named(tmp_path):
    first, _ = make_result(tmp_path, "hoeryong")
    second, _ = make_result(tmp_path, "yodok")
    flip(second / "yodok.gpkg")
    (first / "manifest.json").unlink()
    (first / "run.json").unlink()
    shutil.rmtree(first / "runs")
    assert told(tmp_path / "out") == [
        ("hoeryong/run.json", "missing"),
        ("hoeryong/manifest.json", "missing"),
        ("yodok/yodok.gpkg", "differs"),
    ]


def test_no_result_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="holds no result"):
        verify(tmp_path)
    with pytest.raises(InputError, match="holds no result"):
        verify(tmp_path / "never")
