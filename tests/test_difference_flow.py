"""Two runs that differ in one thing, made for real: the comparison names that thing and no other."""

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys

import pytest
import rasterio
import yaml
from conftest import PROJECT, call, environment
from review_fixture import SIGNED, put, rows_of

from pipeline import cli

pytestmark = pytest.mark.slow

SITE = "sim-port"
ADDED = "S2B_MSIL2A_20190911T020000_R103_T52SEH_20190911T060000"
CHANGED = "S2B_MSIL2A_20180827T020007_R103_T52SEH_20180827T060007"
HAZED = "S2B_MSIL2A_20180906T020001_R103_T52SEH_20180906T060001"


class Desk:
    """An archive of one site with its configuration and a chain of runs."""

    def __init__(self, folder, archive) -> None:
        self.archive = folder / "archive"
        shutil.copytree(archive, self.archive, ignore=shutil.ignore_patterns("results"))
        self.config = self.archive / "config.yaml"
        self.site = self.archive / "results" / SITE
        self.set(source={**self.settings()["source"], "evidence": "copy"}, out="results", reviews="decided")

    def settings(self):
        return yaml.safe_load(self.config.read_text())

    def set(self, **sections):
        self.config.write_text(yaml.safe_dump(self.settings() | sections))

    def run(self):
        assert cli.main(["run", "--config", str(self.config)]) == 0

    def rename(self, change):
        """Change the site file as a JSON document."""
        path = self.archive / "aoi" / f"{SITE}.geojson"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def first(port, tmp_path_factory):
    """A desk with one run, of which each test takes a copy."""
    desk = Desk(tmp_path_factory.mktemp("first"), port)
    desk.run()
    return desk


@pytest.fixture
def desk(first, tmp_path):
    made = Desk.__new__(Desk)
    made.archive = tmp_path / "archive"
    shutil.copytree(first.archive, made.archive)
    made.config, made.site = made.archive / "config.yaml", made.archive / "results" / SITE
    return made


@pytest.fixture
def compared(capsys):
    """Compare the first run of a desk with its newest; the JSON document of the site."""

    def compare(desk, before="@1", after=""):
        capsys.readouterr()
        assert cli.main(["compare", "--json", f"{desk.site}{before}", f"{desk.site}{after}"]) == 0
        (document,) = json.loads(capsys.readouterr().out)["sites"]
        check_against_the_layers(desk, document) if before == "@1" and not after else None
        return document

    return compare


@pytest.fixture
def said(capsys):
    def say(desk, *options, before="@1"):
        capsys.readouterr()
        assert cli.main(["compare", f"{desk.site}{before}", str(desk.site), *options]) == 0
        return capsys.readouterr().out

    return say


def check_against_the_layers(desk, document):
    """What moved, by the layers themselves: changes of the newest GeoPackage against the numbers kept of run 1."""
    kept = json.loads(gzip.decompress((desk.site / "runs" / "0001.numbers.json.gz").read_bytes()))["rows"]
    with sqlite3.connect(desk.site / f"{SITE}.gpkg") as connection:
        query = "SELECT zone_id, metric, year_from, year_to, delta, lo95, hi95, q_value, verdict FROM changes"
        now = {f"changes/{r[0]}/{r[1]}/{r[2]}-{r[3]}": r[4:] for r in connection.execute(query)}
    names = ("delta", "lo95", "hi95", "q_value", "verdict")
    before = {at: tuple(row[name] for name in names) for at, row in kept["changes"].items()}
    differing = {at for at in now.keys() | before.keys() if now.get(at) != before.get(at)}
    told = {move["address"] for move in document["moves"] if move["layer"] == "changes"}
    hidden = {at for at in document["same_in_shown_digits_only"] if at.startswith("changes/")}
    assert told | hidden == differing
    verdicts = {at for at in now.keys() & before.keys() if now[at][-1] != before[at][-1]}
    of_verdict = {
        m["address"] for m in document["moves"] if m["kind"] == "moved" and m["layer"] == "changes" and m["verdict"]
    }
    assert of_verdict == verdicts


def only(document, kind):
    """The one difference of two runs; every number that moved is laid to it, for certain."""
    (difference,) = document["differences"]
    assert difference["kind"] == kind
    for move in document["moves"]:
        assert move["causes"] + move["less_directly"] == [1], move["address"]
        assert move["certain"]
    return difference


def take_out(desk, scene):
    path = desk.archive / "catalog.json"
    catalogue = json.loads(path.read_text())
    kept = [link for link in catalogue["links"] if scene not in link["href"]]
    assert len(kept) == len(catalogue["links"]) - 1
    path.write_text(json.dumps(catalogue | {"links": kept}))


def deliver_anew(desk, scene, change):
    """Deliver other pixels of two bands of a scene, as a provider does that processes it anew."""
    item_path = desk.archive / scene / f"{scene}.json"
    item = json.loads(item_path.read_text())
    for name in ("B03", "B04"):
        path = desk.archive / scene / item["assets"][name]["href"]
        with rasterio.open(path) as band:
            profile, tags, pixels = band.profile, band.tags(), band.read(1)
        path.unlink()
        with rasterio.open(path, "w", **profile) as band:
            band.update_tags(**tags)
            band.write(change(pixels), 1)
        for word in ("file:checksum", "file:size"):
            item["assets"][name].pop(word, None)
    item["properties"]["created"] = "2026-01-01T00:00:00Z"
    item_path.write_text(json.dumps(item))


def test_nothing_moves_where_only_the_run_differs(desk, compared, said):
    shutil.rmtree(desk.site / "tables")
    desk.run()
    document = compared(desk)
    assert (document["differences"], document["steps"], document["moves"]) == ([], [], [])
    assert [document[side]["run"] for side in ("before", "after")] == [1, 2]
    assert "Nothing moved: both runs have the same manifest." in said(desk)


def test_a_scene_that_is_no_longer_there_and_one_that_is_new(desk, compared, said):
    take_out(desk, ADDED)
    desk.run()
    document = compared(desk)
    gone = only(document, "scene")
    assert (gone["how"], gone["name"]) == ("gone", ADDED)
    moved = {move["address"]: move for move in document["moves"]}
    of_2019 = moved["measurements/site/footprint_area_m2/2019"]
    assert (of_2019["causes"], of_2019["less_directly"]) == ([1], [])
    assert not any("/2018" in at and move["causes"] for at, move in moved.items() if move["layer"] == "measurements")
    text = said(desk)
    assert f"[1] scene {ADDED} of 11 September 2019 is no longer there" in text
    assert "because of [1]\n" in text
    # Told the other way round, it is new.
    back = compared(desk, before="@2", after="@1")
    assert only(back, "scene")["how"] == "new"
    assert_mirrored(document, back)


def assert_mirrored(document, back):
    other = {"new": "gone", "gone": "new", "moved": "moved"}
    told = {move["address"]: move for move in back["moves"]}
    assert told.keys() == {move["address"] for move in document["moves"]}
    for move in document["moves"]:
        mirrored = told[move["address"]]
        assert mirrored["kind"] == other[move["kind"]]
        assert mirrored["columns"] == {name: pair[::-1] for name, pair in move["columns"].items()}
        assert (mirrored["causes"], mirrored["less_directly"]) == (move["causes"], move["less_directly"])
    assert back["same"] == document["same"]


def test_pixels_the_provider_changed(desk, compared, said):
    deliver_anew(desk, CHANGED, lambda pixels: pixels + 60)
    desk.run()
    document = compared(desk)
    changed = only(document, "scene")
    assert (changed["how"], changed["name"]) == ("pixels", CHANGED)
    assert [changed[side]["evidence_version"] for side in ("before", "after")] == [1, 2]
    assert document["moves"]
    assert f"scene {CHANGED} of 27 August 2018: other pixels, version 1 → 2" in said(desk)


def test_a_scene_that_is_refused_since_its_pixels_changed(desk, compared, said):
    deliver_anew(desk, HAZED, lambda pixels: pixels * 0 + 9000)
    desk.run()
    changed = only(compared(desk), "scene")
    assert changed["before"]["used"]
    assert not changed["after"]["used"]
    assert f"; used → not used ({changed['after']['reason']})" in said(desk)


@pytest.mark.parametrize(
    ("section", "key", "pair"),
    [
        ({"min_dates": 9}, "min_dates", [6, 9]),
        ({"stats": {"fdr_q": 1e-90}}, "stats.fdr_q", [0.1, 1e-90]),
        ({"uncertainty": {"sigma_edge_m": 2.0}}, "uncertainty.sigma_edge_m", [0.4, 2.0]),
    ],
)
def test_one_setting(desk, compared, said, section, key, pair):
    desk.set(**section)
    desk.run()
    document = compared(desk)
    setting = only(document, "setting")
    assert (setting["name"], [setting["before"], setting["after"]]) == (key, pair)
    assert document["moves"]
    assert f"[1] setting {key}: {pair[0]:g} → {pair[1]:g}" in said(desk)


def test_a_decision_of_a_reviewer(desk, compared, said):
    file = desk.site / "review.gpkg"
    row = next(row for row in rows_of(file) if row["object"] == "pile")
    put(file, row["fid"], decision="reject", reason="dark roof", **SIGNED)
    assert cli.main(["review", SITE, "--config", str(desk.config)]) == 0
    desk.run()
    document = compared(desk)
    decided = only(document, "reviews")
    assert list(decided["after"]) == ["1"]
    kinds = {(move["layer"], move["kind"]) for move in document["moves"]}
    assert kinds == {("measurements", "new"), ("changes", "new"), ("stockpiles", "moved")}
    assert all("reviewed_" in move["address"] for move in document["moves"] if move["kind"] == "new")
    assert {column for move in document["moves"] if move["kind"] == "moved" for column in move["columns"]} <= {
        "review",
        "reviewed_as",
    }
    assert f"[1] reviews: line 1: reject pile {row['object_id']}" in said(desk)
    # Who decided, and in which words, is in the ledger alone.
    kept = gzip.decompress((desk.site / "runs" / "0002.numbers.json.gz").read_bytes()).decode()
    assert SIGNED["analyst"] not in kept
    assert "dark roof" not in kept

    put(file, row["fid"], decision="accept", reason="seen closer", **SIGNED | {"reviewed_on": "2025-01-01"})
    assert cli.main(["review", SITE, "--config", str(desk.config)]) == 0
    desk.run()
    assert set(only(compared(desk, before="@2", after=""), "reviews")["after"]) == {"1", "2"}


def test_other_code(desk, compared, said, tmp_path):
    for package in ("pipeline", "models"):
        shutil.copytree(PROJECT / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    # An outline drawn at another level: the numbers of piles move.
    source = tmp_path / "code" / "pipeline" / "pile_measures.py"
    known = "value=year.area_m2,"
    text = source.read_text()
    assert known in text
    source.write_text(text.replace(known, "value=None if year.area_m2 is None else 2 * year.area_m2,"))
    command = [sys.executable, "-m", "pipeline.cli", "run", "--config", str(desk.config)]
    paths = environment(PYTHONPATH=str(tmp_path / "code"))
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = compared(desk)
    code = only(document, "code")
    assert code["before"]["sha256"] != code["after"]["sha256"]
    assert {move["layer"] for move in document["moves"]} == {"stockpile_changes"}
    assert "[1] code: version " in said(desk)


def test_another_area_in_the_site_file(desk, compared, said):
    def without_settlement(document):
        document["features"] = [f for f in document["features"] if f["properties"]["role"] != "zone"]

    desk.rename(without_settlement)
    desk.run()
    document = compared(desk)
    site = only(document, "site")
    gone = site["before"]["zones"].keys() - site["after"]["zones"].keys()
    assert len(gone) == 1
    assert document["moves"]
    assert f"[1] site file: zone {gone.pop()} is gone" in said(desk)


def test_a_claim_with_another_test(desk, compared, said):
    path = desk.archive / "claims.yaml"
    path.write_text(path.read_text().replace("margin_fraction: 0.2", "margin_fraction: 0.3"))
    desk.run()
    document = compared(desk)
    only(document, "claims")
    assert {move["layer"] for move in document["moves"]} == {"claims"}
    assert "is tested otherwise" in said(desk)


def test_several_differences_are_each_laid_to_what_they_can_reach(desk, compared, said):
    path = desk.archive / "claims.yaml"
    path.write_text(path.read_text().replace("margin_fraction: 0.2", "margin_fraction: 0.3"))
    take_out(desk, ADDED)
    deliver_anew(desk, CHANGED, lambda pixels: pixels + 60)
    desk.set(uncertainty={"sigma_edge_m": 2.0})
    desk.run()
    document = compared(desk)
    ids = {(d["kind"], d["name"]): d["id"] for d in document["differences"]}
    assert ids.keys() == {
        ("scene", ADDED),
        ("scene", CHANGED),
        ("setting", "uncertainty.sigma_edge_m"),
        ("claims", "claims file"),
    }
    added, changed = ids["scene", ADDED], ids["scene", CHANGED]
    edge, claims = ids["setting", "uncertainty.sigma_edge_m"], ids["claims", "claims file"]
    moves = {move["address"]: move for move in document["moves"]}
    ground = moves["measurements/site/footprint_area_m2/2019"]
    assert (ground["causes"], ground["less_directly"]) == ([added], [changed])
    stock = moves["measurements/site/stockpile_area_m2/2018"]
    assert (stock["causes"], stock["less_directly"]) == ([changed, edge], [added])
    for move in document["moves"]:
        assert not move["certain"]
        assert (claims in move["causes"]) == (move["layer"] == "claims")
    text = said(desk, "--all")
    assert f"because of [{added}]; or, through what all years share, of [{changed}]" in text
    assert f"one or more of [{changed}] [{edge}]; or, through what all years share, of [{added}]" in text


def test_all_sites_of_two_folders(desk, first, capsys):
    shutil.copytree(desk.site, desk.site.parent / "other-site")
    desk.set(stats={"fdr_q": 0.2})
    desk.run()
    capsys.readouterr()
    assert cli.main(["compare", str(first.site.parent), str(desk.site.parent)]) == 0
    text = capsys.readouterr().out
    assert f"{SITE}: SIMULATED run 1" in text
    assert "other-site: only in " in text
    assert "setting stats.fdr_q: 0.1 → 0.2" in text


def test_what_cannot_be_compared_is_refused_in_one_line(desk, capsys, tmp_path):
    desk.set(stats={"fdr_q": 0.2})
    desk.run()
    runs = desk.site / "runs"

    def refused(before, after, status):
        capsys.readouterr()
        assert cli.main(["compare", str(before), str(after)]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    assert "there is no run 7; the newest of" in refused(desk.site, f"{desk.site}@7", 2)
    assert "is no folder" in refused(desk.site, tmp_path / "nowhere", 2)
    assert "holds no result" in refused(tmp_path, desk.site, 2)
    assert "name two of a kind" in refused(desk.site.parent, desk.site, 2)
    assert "runs are counted site by site" in refused(f"{desk.site.parent}@1", desk.site.parent, 2)
    assert "have no site in common" not in refused(desk.site, desk.site.parent, 2)

    for name in ("0001.numbers.json.gz", "0001.manifest.json.gz"):
        kept = (runs / name).read_bytes()
        (runs / name).write_bytes(gzip.compress(gzip.decompress(kept).replace(b"0", b"1", 1), mtime=0))
        assert f"{name}: differs from the hash in its record" in refused(f"{desk.site}@1", desk.site, 1)
        (runs / name).unlink()
        assert f"{name}: is missing" in refused(f"{desk.site}@1", desk.site, 1)
        (runs / name).write_bytes(kept)
    for name in ("0001.json", "0002.json"):
        kept = (runs / name).read_bytes()
        (runs / name).write_bytes(kept.replace(b'"workers": 1', b'"workers": 2'))
        assert f"{name}: is not as it was written" in refused(f"{desk.site}@1", desk.site, 1)
        (runs / name).write_bytes(kept)
    assert cli.main(["compare", f"{desk.site}@1", str(desk.site)]) == 0


def test_runs_of_two_sites_are_refused(desk, tmp_path, small, capsys):
    other = tmp_path / "small"
    shutil.copytree(small / "results" / SITE, other)
    # The same files under another id.
    for path in other.glob("runs/*.json"):
        path.unlink()
    assert cli.main(["compare", str(desk.site), str(other)]) == 2
    assert "holds no record of a run" in capsys.readouterr().err


def test_it_answers_in_a_process_of_its_own(desk):
    desk.set(stats={"fdr_q": 0.2})
    desk.run()
    done = call("compare", f"{desk.site}@1", desk.site)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{SITE}: SIMULATED run 1 (")
