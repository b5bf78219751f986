"""Review by the command line: accept, reject, edit, own outlines, two reviewers; nothing lost, all in the history."""

import json
import shutil

import pytest
import shapely
from conftest import call, products
from review_fixture import OWN, SIGNED, blob_of, copy_row, draw, opened, put, rows_of, write_config
from shapely.affinity import translate

from pipeline.products.custody.verify import verify
from pipeline.products.geopackage import read_tables

pytestmark = pytest.mark.slow

SITE = "sim-port"
NEWEST = 2019


class Desk:
    """A site on a reviewer's desk: its results, review file and ledger, and the commands."""

    def __init__(self, folder, archive) -> None:
        self.config = write_config(folder, archive)
        self.results = folder / "results"
        self.site = self.results / SITE
        self.file = self.site / "review.gpkg"
        self.ledger = folder / "decided" / f"{SITE}.jsonl"

    def run(self, *more, **options):
        done = call("run", SITE, "--config", self.config, *more, **options)
        assert done.returncode == 0, done.stderr
        return done

    def review(self, *more):
        return call("review", SITE, "--config", self.config, *more)

    def tables(self, *names):
        return read_tables(self.site / f"{SITE}.gpkg", names)

    def values(self, metric, zone="site"):
        return {
            m.year: m.value
            for m in self.tables("measurements")["measurements"]
            if (m.metric, m.zone_id) == (metric, zone)
        }

    def lines(self):
        return [json.loads(line) for line in self.ledger.read_text("utf-8").splitlines()]


@pytest.fixture
def desk(tmp_path, port, port_results):
    made = Desk(tmp_path, port)
    # Its evidence and memory spare the first run's work; the paths in them are of the archive, which stays.
    shutil.copytree(port_results, made.results)
    return made


def piles_by_newest(desk):
    newest = {}
    for row in desk.tables("stockpiles")["stockpiles"]:
        if row.pile_id not in newest or row.year > newest[row.pile_id].year:
            newest[row.pile_id] = row
    return newest


def fid_of(desk, object_id):
    return next(r["fid"] for r in rows_of(desk.file) if r["object_id"] == object_id)


def decide(desk, piles):
    """Day one: reject, accept, redraw, an own pile and an own yard, and a row without a name; return its number."""
    rejected, accepted, edited = sorted(piles)[:3]
    with opened(desk.file) as connection:
        (epsg,) = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
    put(desk.file, fid_of(desk, rejected), decision="reject", reason="dark roof", **SIGNED)
    put(desk.file, fid_of(desk, accepted), decision="accept", **SIGNED)
    redrawn = {"geom": blob_of(grown(piles[edited]), epsg), "uncertainty_m": 3.0, "reason": "the edge is further out"}
    put(desk.file, fid_of(desk, edited), decision="edit", **redrawn, **SIGNED)
    mine = own_pile(piles[accepted])
    draw(desk.file, mine, object="own_pile", object_id="mine", year=NEWEST, **OWN)
    draw(desk.file, shapely.multipolygons([mine.buffer(80)]), object="own_yard", object_id="yard", **OWN)
    return copy_row(desk.file, fid_of(desk, accepted), analyst="", decision="reject", reason="no name")


def grown(pile):
    return shapely.multipolygons([pile.geometry.buffer(5.0, join_style="mitre")])


def own_pile(pile):
    return translate(pile.geometry, 0, 450)


def test_review_round_trip(desk):
    before = {metric: desk.values(metric) for metric in ("stockpile_area_m2", "stockpile_count")}
    judged, piles = desk.tables("changes", "claims"), piles_by_newest(desk)
    slip = decide(desk, piles)
    first = desk.review()
    assert first.returncode == 1
    assert f"row {slip}: analyst is empty: name the reviewer who decided" in first.stderr
    assert "5 taken (0 of them change an earlier one), 0 known; 1 rows not taken" in first.stdout
    assert [line["decision"] for line in desk.lines()] == ["reject", "accept", "edit", "own", "own"]

    # The slip is mended by a second reviewer; reading twice adds nothing.
    put(desk.file, slip, analyst="B. Lee", reviewed_on="2024-03-02")
    second = desk.review()
    assert (second.returncode, second.stderr) == (0, "")
    assert "1 taken" in second.stdout
    assert "agree on 0 of 1 objects" in second.stdout
    taken = desk.ledger.read_bytes()
    assert "0 taken" in desk.review().stdout
    assert desk.ledger.read_bytes() == taken

    desk.run()
    assert {metric: desk.values(metric) for metric in before} == before
    after = desk.tables("changes", "claims")
    assert [c for c in after["changes"] if not c.metric.startswith("reviewed")] == judged["changes"]
    assert after["claims"] == judged["claims"]
    check_what_stands_beside(desk, piles, before)
    assert json.loads((desk.site / "manifest.json").read_text())["reviews_sha256"] is not None
    assert verify(desk.site) == []
    assert "up to date" in desk.run().stderr

    check_that_no_decision_vanishes(desk)

    # A changed mind: a new line, the older stay; the pile is confirmed once nobody rejects it.
    put(desk.file, slip, decision="withdraw", reason="confused it with another", reviewed_on="2024-03-03")
    assert "1 taken (1 of them change an earlier one)" in desk.review().stdout
    assert desk.ledger.read_bytes().startswith(taken)
    desk.run()
    tables = desk.tables("stockpiles", "reviews")
    assert {r.tier for r in tables["stockpiles"] if r.pile_id == sorted(piles)[1]} == {"confirmed"}
    assert [r.counts for r in tables["reviews"]] == [True] * 5 + [False] * 2


def check_that_no_decision_vanishes(desk):
    """Lines removed from the end, and the whole ledger removed, fail the site and leave its result."""
    whole, manifest = desk.ledger.read_bytes(), (desk.site / "manifest.json").read_bytes()
    desk.ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    for said in ("does not begin with", "is not there, but"):
        done = call("run", SITE, "--config", desk.config)
        assert done.returncode == 1
        assert said in done.stderr
        assert str(desk.ledger.parent) not in (desk.results / "index.html").read_text("utf-8")
        assert said in (desk.results / "index.html").read_text("utf-8")
        desk.ledger.unlink(missing_ok=True)
    assert (desk.site / "manifest.json").read_bytes() == manifest
    desk.ledger.write_bytes(whole)
    assert "up to date" in desk.run().stderr


def check_what_stands_beside(desk, piles, before):
    """Tiers, numbers after review by hand, history, outlines and agreement, after day one and the second reviewer."""
    rejected, accepted, edited = sorted(piles)[:3]
    tables = desk.tables("stockpiles", "reviews", "analyst_outlines", "agreement")
    states = {(r.pile_id, r.year): (r.tier, r.machine_tier, r.review) for r in tables["stockpiles"]}
    assert states[rejected, NEWEST] == ("probable", "probable", "rejected")
    assert states[accepted, NEWEST] == ("probable", "probable", "contested")
    assert states[edited, NEWEST] == ("confirmed", "probable", "edited")
    assert states[edited, NEWEST - 1] == ("probable", "probable", None)
    drawn = grown(piles[edited]).area + own_pile(piles[accepted]).area
    expected = before["stockpile_area_m2"][NEWEST] - piles[rejected].area_m2 - piles[edited].area_m2 + drawn
    reviewed = desk.values("reviewed_stockpile_area_m2")
    assert reviewed[NEWEST] == pytest.approx(expected, rel=1e-3)
    assert reviewed[NEWEST - 1] is None, "the own pile was looked for in one year alone"
    (change,) = [
        c for c in desk.tables("changes")["changes"] if (c.metric, c.zone_id) == ("reviewed_stockpile_area_m2", "site")
    ]
    assert change.verdict == "insufficient_data"
    assert "a pile that a reviewer found is not given for this year" in change.reason
    assert desk.values("reviewed_stockpile_count")[NEWEST] == before["stockpile_count"][NEWEST]
    said = [(n, line["decision"], True) for n, line in enumerate(desk.lines(), start=1)]
    assert [(r.line, r.decision, r.counts) for r in tables["reviews"]] == said
    assert {r.object for r in tables["analyst_outlines"]} == {"pile", "own_pile", "own_yard"}
    (agreed,) = tables["agreement"]
    assert (agreed.n_objects, agreed.n_agreed, agreed.kappa) == (1, 0, 0.0)


def test_two_runs_with_one_ledger_are_the_same_to_the_byte(desk, tmp_path):
    piles = sorted(piles_by_newest(desk))
    hostile = "<script>alert(1)</script> =HYPERLINK(1) #panic() [% 1+1 %]"
    put(desk.file, fid_of(desk, piles[0]), decision="reject", reason=hostile, **SIGNED)
    put(desk.file, fid_of(desk, piles[1]), decision="accept", **SIGNED)
    assert desk.review().returncode == 0
    desk.run()
    page = (desk.site / "report.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert (desk.site / "report.pdf").stat().st_size > 10_000
    first = {name: digest for name, digest in products(desk.site).items() if not name.startswith("review.gpkg")}
    elsewhere = tmp_path / "elsewhere"
    done = call(
        "run",
        SITE,
        "--config",
        desk.config,
        "--out",
        elsewhere,
        "--workers",
        "2",
        env={"TZ": "Asia/Pyongyang", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    second = {name: digest for name, digest in products(elsewhere / SITE).items() if not name.startswith("review.gpkg")}
    assert first == second


def test_a_ledger_that_was_tampered_with_stops_its_site_alone(desk):
    put(desk.file, 1, decision="accept", **SIGNED)
    put(desk.file, 2, decision="accept", **SIGNED)
    assert desk.review().returncode == 0
    desk.ledger.write_text(desk.ledger.read_text("utf-8").replace("A. Kim", "B. Lee", 1), encoding="utf-8")
    before = products(desk.site)
    done = call("run", SITE, "--config", desk.config)
    assert done.returncode == 1
    assert f"{SITE}: FAILED" in done.stderr
    assert "line 2: does not follow the line before it" in done.stderr
    assert products(desk.site) == before


def test_a_copy_of_the_file_is_taken_and_an_old_copy_changes_nothing(desk, tmp_path):
    sent = tmp_path / "from-lee.gpkg"
    shutil.copy(desk.file, sent)
    put(desk.file, 1, decision="accept", **SIGNED)
    assert desk.review().returncode == 0
    put(sent, 1, decision="reject", reason="no", analyst="B. Lee", reviewed_on="2024-03-05", imagery="aerial")
    assert desk.review("--file", sent).returncode == 0
    put(desk.file, 1, decision="reject", reason="looked again", reviewed_on="2024-03-06")
    assert desk.review().returncode == 0
    put(sent, 2, decision="accept", **SIGNED)
    put(sent, 1, **(SIGNED | {"decision": "accept", "reason": None}))
    done = desk.review("--file", sent)
    assert "1 taken" in done.stdout
    assert "1 older than what the ledger holds" in done.stdout
    assert [(line["analyst"], line["decision"]) for line in desk.lines()] == [
        ("A. Kim", "accept"), ("B. Lee", "reject"), ("A. Kim", "reject"), ("A. Kim", "accept"),
    ]  # fmt: skip
