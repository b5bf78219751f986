"""What is hidden in an archive stands nowhere in it, the rest stays as it was, and the step is told."""

import gzip
import hashlib
import json
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import zipfile
from contextlib import closing

import pypdf
import pytest
import yaml
from conftest import call, hashes
from review_fixture import OWN, SIGNED, blob_of, draw, opened, put, rows_of
from shapely.geometry import box
from test_export import manifest

from pipeline.export import hiding, redaction
from pipeline.products.geopackage import read_tables

SITE = "sim-port"
REVIEWER, OTHER = "Oh Yeong-hui", "Pak Hyon-u"
INFORMANT = "Informant Kang in Chongjin"
NAME = "Pier of the Ninth Bureau"
VILLAGE = "Sujung-ni 수중리"
WORDS = "a former guard told me"
QUOTE = "Piles at Sujung-ni 수중리 have grown"


@pytest.fixture(scope="module")
def reviewed(port, tmp_path_factory):
    """Results with names that must not get out: of an informant, a village, two reviewers; do not write into them."""
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copytree(port / "aoi", folder / "aoi")
    site = folder / "aoi" / f"{SITE}.geojson"
    document = json.loads(site.read_text(encoding="utf-8"))
    aoi = next(f for f in document["features"] if f["properties"]["role"] == "aoi")
    aoi["properties"] |= {"source": INFORMANT, "name": f"SIMULATED {NAME}"}
    ring = aoi["geometry"]["coordinates"][0]
    west, south = (min(c[n] for c in ring) for n in (0, 1))
    east, north = (max(c[n] for c in ring) for n in (0, 1))
    across, up = (east - west) / 10, (north - south) / 10
    corner = [west + 3 * across, south + 3 * up]
    zone = [corner, [corner[0] + across, corner[1]], [corner[0], corner[1] + up], corner]
    properties = {"role": "zone", "name": VILLAGE, "source": INFORMANT}
    document["features"].append(
        {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [zone]}}
    )
    site.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    claims = yaml.safe_load((port / "claims.yaml").read_text(encoding="utf-8"))
    claims["claims"][0]["quote"] = QUOTE
    (folder / "claims.yaml").write_text(yaml.safe_dump(claims, allow_unicode=True), encoding="utf-8")
    config = {
        "source": {"kind": "simulated", "url": str(port / "catalog.json"), "evidence": "copy"},
        "sites": "aoi", "claims": "claims.yaml", "years": {"first": 2018, "last": 2018}, "out": "results",
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run(folder)
    file = folder / "results" / SITE / "review.gpkg"
    piles = [row for row in rows_of(file) if row["object"] == "pile"]
    put(file, piles[0]["fid"], decision="accept", reason=WORDS, **SIGNED | {"analyst": REVIEWER})
    put(file, piles[1]["fid"], decision="reject", reason="asphalt", **SIGNED | {"analyst": OTHER})
    with opened(file) as connection:
        (epsg,) = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
    x, y = piles[0]["geom"].centroid.coords[0]
    own = OWN | {"analyst": REVIEWER, "source_date": "2018-06-01", "year": 2018}
    draw(file, box(x, y, x + 90, y + 90), object="own_pile", object_id="own-1", **own)
    assert epsg
    assert blob_of
    done = call("review", SITE, "--config", folder / "config.yaml")
    assert done.returncode == 0, done.stderr
    run(folder)
    return folder


def run(folder):
    done = call("run", "--config", folder / "config.yaml")
    assert done.returncode == 0, done.stderr


def write(folder, *steps):
    path = folder / "redaction.yaml"
    given = [{"why": "Persons would be at risk.", "by": "Legal desk", **step} for step in steps]
    path.write_text(yaml.safe_dump({"redactions": given}, allow_unicode=True), encoding="utf-8")
    return path


def redacted(reviewed, folder, *steps):
    """Export with something hidden; return the archive."""
    file = write(folder, *steps)
    config = reviewed / "config.yaml"
    return call("export", SITE, "--config", config, "--to", folder / "x.zip", "--redaction", file)


def done(reviewed, folder, *steps):
    said = redacted(reviewed, folder, *steps)
    assert said.returncode == 0, said.stderr
    subprocess.run(["unzip", "-q", folder / "x.zip", "-d", folder / "x"], check=True)
    return folder / "x"


def texts_of(path):
    """Every text a file holds, however it is packed."""
    content = path.read_bytes()
    yield content
    if path.suffix == ".gz":
        yield gzip.decompress(content)
    if path.suffix == ".pdf":
        reader = pypdf.PdfReader(path)
        yield "".join(page.extract_text() for page in reader.pages).encode()
        yield str(reader.metadata).encode()
    if path.suffix == ".gpkg":
        with closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode()
    if b"\\u" in content:
        yield re.sub(rb"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)).encode("utf-8", "replace"), content)


def holding(folder, value):
    """Files below a folder that hold a text, in any case of its letters."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        squeezed = (b"".join(text.split()).lower() for text in texts_of(path))
        if any("".join(value.split()).lower().encode() in text for text in squeezed):
            found.append(path.relative_to(folder).as_posix())
    return found


def test_the_search_finds_what_is_not_hidden(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "runs"})
    for value in (INFORMANT, VILLAGE, REVIEWER, WORDS, QUOTE):
        found = holding(folder, value)
        assert {f"{SITE}/{SITE}.gpkg", f"{SITE}/report.pdf"} <= set(found), value
    assert any(name.endswith(".numbers.json.gz") for name in holding(folder, QUOTE))


@pytest.mark.parametrize(
    ("what", "hidden"),
    [
        (["sites.source"], [INFORMANT]),
        (["sites.name", "claims.quote"], [NAME, VILLAGE, QUOTE]),
        (["reviews.analyst", "reviews.reason"], [REVIEWER, OTHER, WORDS]),
    ],
)
def test_what_is_hidden_stands_nowhere(reviewed, tmp_path, what, hidden):
    before = hashes(reviewed / "results" / SITE)
    folder = done(reviewed, tmp_path, *({"what": one} for one in what))
    for value in hidden:
        assert holding(folder, value) == []
        with zipfile.ZipFile(tmp_path / "x.zip") as made:
            assert value not in "".join(made.namelist())
        assert value.encode() not in (tmp_path / "x.zip").read_bytes()
    assert hashes(reviewed / "results" / SITE) == before
    assert call("verify", folder).returncode == 0
    subprocess.run(["sha256sum", "-c", "SHA256SUMS", "--quiet"], cwd=folder, check=True)


def digests_in(folder):
    """Everything in an archive that may be a SHA-256."""
    texts = (text for path in folder.rglob("*") if path.is_file() and path.suffix != ".tif" for text in texts_of(path))
    return {found.decode() for text in texts for found in re.findall(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", text)}


def sizes_in(folder):
    """Sizes ``redaction.json`` and the provenance tell."""
    told = [folder / SITE / "redaction.json", folder / "prov.json", folder / "prov.provn"]
    return {size for path in told for size in re.findall(rb"\b\d{4,}\b", path.read_bytes())}


def over_hidden(reviewed):
    """Hashes of the original that were made over names of reviewers, directly or through another of them."""
    site = reviewed / "results" / SITE
    files = [*site.glob("*.json"), *(site / "runs").iterdir(), site / "inputs" / "reviews.jsonl", site / f"{SITE}.gpkg"]
    files += [site / "report.html", site / "report.pdf", site / "tables" / "reviews.csv"]
    found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for path in (site / "runs").glob("*.manifest.json.gz"):
        content = gzip.decompress(path.read_bytes())
        found |= {hashlib.sha256(content).hexdigest(), json.loads(content)["key"]}
    lines = (site / "inputs" / "reviews.jsonl").read_text(encoding="utf-8").splitlines()
    return found | {hashlib.sha256(line.encode()).hexdigest() for line in lines} | {manifest(site)["key"]}


def test_no_hash_over_what_is_hidden_can_be_guessed_against(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "reviews.analyst"})
    assert not over_hidden(reviewed) & digests_in(folder)
    assert manifest(folder / SITE)["site_sha256"] == manifest(reviewed / "results" / SITE)["site_sha256"]
    assert call("verify", folder).returncode == 0


def test_the_receipt_opens_every_commitment(reviewed, tmp_path):
    said = redacted(reviewed, tmp_path, {"what": "reviews.analyst"})
    path = tmp_path / "x.zip.receipt.json"
    assert f"{path}: keep it" in said.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    receipt = json.loads(path.read_text(encoding="utf-8"))
    assert receipt["salt"].encode() not in (tmp_path / "x.zip").read_bytes()
    opened = {}
    for one in receipt["commitments"]:
        command = 'printf "%s%s" "$1" "$2" | sha256sum'
        ran = subprocess.run(
            ["sh", "-c", command, "sh", receipt["salt"], one["sha256"]], capture_output=True, text=True, check=True
        )
        assert ran.stdout.split()[0] == one["commitment"]
        opened[one["commitment"]] = one["sha256"]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        told = json.loads(archive.read(f"{SITE}/redaction.json"))
        now = json.loads(archive.read(f"{SITE}/manifest.json"))
    original = reviewed / "results" / SITE
    assert opened[now["reviews_sha256"]] == manifest(original)["reviews_sha256"]
    assert opened[told["original"]["run"]] == hashlib.sha256((original / "run.json").read_bytes()).hexdigest()
    (tmp_path / "x.zip").unlink()
    again = redacted(reviewed, tmp_path, {"what": "reviews.analyst"})
    assert again.returncode == 2
    assert "a receipt is never written over" in again.stderr
    assert not (tmp_path / "x.zip").exists()


def test_two_steps_may_hide_the_same_words(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "sites.name"}, {"what": "zones.name"})
    assert holding(folder, VILLAGE) == []
    assert "Only whole values were\nlooked for" in (folder / "README.md").read_text(encoding="utf-8")


def test_two_reviewers_stay_two(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "reviews.analyst"})
    rows = read_tables(folder / SITE / f"{SITE}.gpkg", ["reviews", "analyst_outlines"])
    marks = [row.analyst for row in rows["reviews"]]
    former = [row.analyst for row in read_tables(reviewed / "results" / SITE / f"{SITE}.gpkg", ["reviews"])["reviews"]]
    assert len(set(marks)) == len(set(former)) == 2
    assert len(set(zip(marks, former, strict=True))) == 2
    assert {row.analyst for row in rows["analyst_outlines"]} <= set(marks)


def test_no_number_changes(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "sites.name"}, {"what": "reviews.analyst"}, {"what": "sites.source"})
    layers = ("measurements", "stockpiles", "stockpile_observations", "footprints", "scenes", "stockpile_changes")
    before = read_tables(reviewed / "results" / SITE / f"{SITE}.gpkg", layers)
    after = read_tables(folder / SITE / f"{SITE}.gpkg", layers)
    for layer in layers:
        for old, new in zip(before[layer], after[layer], strict=True):
            other = {name for name, value in vars(old).items() if value != vars(new)[name]}
            assert other <= {"zone_id"}, (layer, other)
    said = [line for path in sorted((folder / "recompute").iterdir()) for line in recomputed(folder, path)]
    assert said


def recomputed(folder, path):
    with path.open() as chain:
        made = subprocess.run(
            [sys.executable, "-I", "method/recompute.py"], cwd=folder, stdin=chain, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
    last = made.stdout.splitlines()[-1]
    assert float(last.rsplit(" % ", 1)[0].rsplit(" ", 1)[1]) < 0.1
    return made.stdout.splitlines()


def test_where_a_site_is_stands_nowhere(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "location"})
    package = reviewed / "results" / SITE / f"{SITE}.gpkg"
    tables = read_tables(package)
    for pile in {row.pile_id for row in tables["stockpiles"]}:
        assert holding(folder, pile) == []
    outlines = [row.geometry for layer in ("sites", "stockpiles", "footprints") for row in tables[layer]]
    numbers = {n for shape in outlines for n in shape.bounds}
    with closing(sqlite3.connect(package)) as connection:
        numbers |= {
            n for row in connection.execute("SELECT min_x, min_y, max_x, max_y FROM gpkg_contents") for n in row
        }
    packed = [struct.pack(form, n) for n in numbers if n for form in ("<d", ">d")]
    document = json.loads((reviewed / "aoi" / f"{SITE}.geojson").read_text(encoding="utf-8"))
    degrees = {f"{n:.4f}".encode() for f in document["features"] for c in f["geometry"]["coordinates"][0] for n in c}
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert not any(number in content for number in packed), path
        assert not any(number in text for text in texts_of(path) for number in degrees), path
        assert path.suffix not in {".tif", ".jp2"}
    assert call("verify", folder).returncode == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "cannot be checked against pixels" in text
    withheld = json.loads((folder / SITE / "redaction.json").read_text(encoding="utf-8"))["withheld_evidence"]
    told = manifest(reviewed / "results" / SITE)["inputs"]
    assert {(file["scene_id"], file["band"]) for file in withheld} == {(f["scene_id"], f["band"]) for f in told}
    assert all(set(file) == {"scene_id", "band", "commitment"} for file in withheld)
    # A window of a public image with the hash of the pixels, or of all of a scene's, is where the site is.
    pixels = {f["sha256"] for f in told} | {scene.sha256 for scene in tables["scenes"]}
    assert not pixels & digests_in(folder)
    assert "also of those not used, hold tiles of 110 km\n(52SEH)" in text
    assert not {str(f["size_bytes"]).encode() for f in told} & sizes_in(folder)


def test_the_step_and_the_original_are_told(reviewed, tmp_path):
    folder = done(reviewed, tmp_path, {"what": "sites.source", "date": "2026-11-20"}, {"what": "reviews.reason"})
    original = reviewed / "results" / SITE
    digest = hashlib.sha256((original / "manifest.json").read_bytes()).hexdigest()
    told = json.loads((folder / SITE / "redaction.json").read_text(encoding="utf-8"))
    salt = json.loads((tmp_path / "x.zip.receipt.json").read_text(encoding="utf-8"))["salt"]

    def closed(one):
        return hashlib.sha256((salt + one).encode()).hexdigest()

    assert told["original"]["manifest"] == closed(digest)
    assert told["original"]["run"] == closed(hashlib.sha256((original / "run.json").read_bytes()).hexdigest())
    assert [step["what"] for step in told["steps"]] == ["sites.source", "reviews.reason"]
    assert told["steps"][0] | {"hides": ""} == {
        "what": "sites.source", "why": "Persons would be at risk.", "by": "Legal desk", "date": "2026-11-20",
        "hides": "",
    }  # fmt: skip
    former = {output["path"]: output["sha256"] for output in manifest(original)["outputs"]}
    now = {output["path"]: output["sha256"] for output in manifest(folder / SITE)["outputs"]}
    assert told["replaced"] == {path: closed(one) for path, one in former.items() if now.get(path, one) != one}
    assert f"{SITE}.gpkg" in told["replaced"]
    assert told["left_out"] == sorted(closed(one) for path, one in former.items() if path not in now)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert closed(digest) in text
    assert "Legal desk, 2026-11-20" in text
    reader = pypdf.PdfReader(folder / SITE / "report.pdf")
    assert "Redacted copy" in "".join(page.extract_text() for page in reader.pages)
    provenance = json.loads((folder / "prov.json").read_text(encoding="utf-8"))
    assert provenance["entity"][f"in:#original/{SITE}/manifest.json"]["schema:identifier"].endswith(closed(digest))
    assert f"in:#redaction/{SITE}" in provenance["activity"]


def test_the_same_redaction_differs_by_its_salt_alone(reviewed, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        assert redacted(reviewed, tmp_path / name, {"what": "sites.name"}).returncode == 0
    read = []
    for name in "ab":
        with zipfile.ZipFile(tmp_path / name / "x.zip") as archive:
            read.append({one: archive.read(one) for one in archive.namelist()})
    other = {path.removeprefix(f"{SITE}/") for path in read[0] if read[0][path] != read[1][path]}
    assert "redaction.json" in other
    assert not {path for path in other if path.startswith(("tables/mea", "masks/", "composites/", "inputs/"))}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "redaction.yaml", "x.zip", "x.zip.receipt.json",
    ]  # fmt: skip


def test_a_value_that_stands_elsewhere_ends_the_export_unless_it_may(reviewed, tmp_path):
    # The kind of the site is a word of the contract, and stays: as a source it would be a riddle nobody has to guess.
    said = redacted(
        reviewed, tmp_path, {"what": "claims.source", "why": f"{INFORMANT} again"}, {"what": "sites.source"}
    )
    assert said.returncode == 1
    assert "sites.source: a value of it" in said.stderr
    assert INFORMANT not in said.stderr
    assert not (tmp_path / "x.zip").exists()
    step = {"what": "sites.source", "may_remain": True}
    said = redacted(reviewed, tmp_path, {"what": "claims.source", "why": f"{INFORMANT} again"}, step)
    assert said.returncode == 0
    assert "as may_remain allows" in said.stderr


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"what": "sites.sorce"}, "did you mean 'sites.source'"),
        ({"what": "measurements.value"}, "not what was measured"),
        ({"what": "reviews.analist"}, "did you mean 'reviews.analyst'"),
        ({"what": "site sim-prot"}, "did you mean 'sim-port'"),
        ({"what": "sites.source", "why": " "}, ".why: is missing"),
        ({"what": "sites.source", "reson": "x"}, "unknown key 'reson'"),
        ({"what": "sites.source", "may_remain": "yes"}, "neither true nor false"),
        ({"what": f"site {SITE}"}, "leaves out every site"),
    ],
)
def test_a_redaction_of_nothing_that_is_there_is_refused(tmp_path, step, words):
    with pytest.raises(redaction.InputError, match="redaction") as refused:
        redaction.read_steps(write(tmp_path, step), [SITE])
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_holds_nothing_is_told(small, tmp_path):
    file = write(tmp_path, {"what": "reviews.analyst"})
    config = small / "config.yaml"
    said = call("export", SITE, "--config", config, "--to", tmp_path / "x.zip", "--redaction", file)
    assert said.returncode == 2
    assert said.stderr.startswith("stockline: reviews.analyst: holds nothing in the results of sim-port")
    assert [path.name for path in tmp_path.iterdir()] == ["redaction.yaml"]


STEP = redaction.Step("sites.source", "why", "by")


def hidden(value, mark="[redacted 1]"):
    return hiding.Hidden(value, mark, STEP)


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Kim", "Kim and KIM met Kimchaek", "[redacted 1] and [redacted 1] met Kimchaek"),
        ("Kim Chol-su", "by kim\nchol-su.", "by [redacted 1]."),
        ("김철수", "김철수가 말했다", "[redacted 1]가 말했다"),
        ("Café", "a Cafe\N{COMBINING ACUTE ACCENT}", "a [redacted 1]"),
        ("a.b*c", "a.b*c aXbc", "[redacted 1] aXbc"),
    ],
)
def test_a_value_is_found_as_people_write_it(value, text, expected):
    assert hiding.replacer([hidden(value)])(text) == expected


def test_of_two_values_that_overlap_the_longer_counts():
    replaced = hiding.replacer([hidden("Camp 25"), hidden("Camp 25 village", "[redacted 2]")])
    assert replaced("Camp 25 village, Camp 25") == "[redacted 2], [redacted 1]"


def test_a_text_without_a_hidden_value_stays_letter_for_letter():
    text = "Cafe\N{COMBINING ACUTE ACCENT}"
    assert hiding.replacer([hidden("Kim")])(text) is text


@pytest.mark.slow
def test_a_site_that_is_left_out_is_named_nowhere(demo, tmp_path):
    file = write(tmp_path, {"what": "site sim-mine", "may_remain": True})
    config = demo / "config.yaml"
    said = call("export", "--config", config, "--to", tmp_path / "x.zip", "--redaction", file)
    assert said.returncode == 0, said.stderr
    subprocess.run(["unzip", "-q", tmp_path / "x.zip", "-d", tmp_path / "x"], check=True)
    assert holding(tmp_path / "x", "sim-mine") == []
    portfolio = json.loads((tmp_path / "x" / "portfolio.json").read_text(encoding="utf-8"))
    assert [site["site"] for site in portfolio["sites"]] == ["sim-camp", "sim-port"]
    verified = call("verify", tmp_path / "x")
    assert verified.returncode == 0, verified.stdout


def test_what_former_runs_rest_on_is_in_the_archive_too(reviewed, tmp_path):
    config = reviewed / "config.yaml"
    said = call("export", SITE, "--config", config, "--to", tmp_path / "x.zip")
    assert said.returncode == 0, said.stderr
    subprocess.run(["unzip", "-q", tmp_path / "x.zip", "-d", tmp_path / "x"], check=True)
    folder = tmp_path / "x"
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / SITE / "runs").glob("????.json"))]
    assert len(runs) == 2
    for run_ in runs:
        for path, digest in run_["records"].items():
            assert hashlib.sha256((folder / "evidence" / path).read_bytes()).hexdigest() == digest
    assert call("verify", folder).returncode == 0
    (folder / "method" / "method.md").write_text("other")
    (folder / "notes.txt").write_text("mine")
    (folder / "LICENCE.md").unlink()
    verified = call("verify", folder)
    assert verified.returncode == 1
    named = {line.split(":")[0] for line in verified.stdout.splitlines() if not line.startswith(" ")}
    assert {"method/method.md", "notes.txt", "LICENCE.md"} <= named
    assert "3 problems" in verified.stdout
