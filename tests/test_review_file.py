"""The review file: what a run puts in, what comes back from a reviewer's hand, and what is refused."""

import dataclasses
import datetime as dt
import json
import re
import shutil
import sqlite3

import pytest
import shapely
from conftest import call
from review_fixture import OWN, SIGNED, blob_of, copy_row, draw, opened, put, rows_of, square, without
from shapely.affinity import translate

from pipeline.config import Config, LimitsConfig
from pipeline.decision_ledger import Ledger
from pipeline.errors import ProductError, ReviewError
from pipeline.products import review_file
from pipeline.products._documents import REVIEW
from pipeline.products.geopackage import read_tables
from pipeline.products.review_file import gains_to_review, offer, piles_to_review, read_review
from pipeline.records import BoundaryChangeRow
from pipeline.review.checks import Place, check_rows
from pipeline.reviewing import ledger_of, review_site
from pipeline.sites import read_site

TODAY = dt.date(2024, 6, 1)


@pytest.fixture(scope="module")
def finished(port_results, tmp_path_factory):
    """A finished site whose review file no test has touched."""
    folder = tmp_path_factory.mktemp("finished") / "sim-port"
    shutil.copytree(port_results / "sim-port", folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "sim-port")
    return tmp_path / "sim-port"


@pytest.fixture(scope="session")
def site(port):
    return read_site(port / "aoi" / "sim-port.geojson", LimitsConfig())


def checked(path, site):
    return check_rows(read_review(path), Place(site.aoi, TODAY))


def one_fault(path, site):
    decisions, faults = checked(path, site)
    assert not decisions
    (fault,) = faults
    return str(fault)


def wide(path, fid=1):
    """Outline of a row, a metre wider all round."""
    return shapely.multipolygons([rows_of(path)[fid - 1]["geom"].buffer(1.0, join_style="mitre")])


def reshape(path, fid, shape):
    with opened(path) as connection:
        (epsg,) = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
    put(path, fid, geom=blob_of(shape, epsg))


# --- what is put in ---


def test_a_run_offers_every_pile_once_with_the_outline_of_its_newest_year(folder):
    with opened(folder / "sim-port.gpkg") as connection:
        newest = dict(connection.execute("SELECT pile_id, max(year) FROM stockpiles GROUP BY pile_id"))
    rows = {r["object_id"]: r for r in rows_of(folder / REVIEW) if r["object"] == "pile"}
    assert {name: row["machine_year"] for name, row in rows.items()} == newest
    assert len(newest) >= 3
    with opened(folder / "sim-port.gpkg") as connection:
        for name, row in rows.items():
            area, blob = connection.execute(
                "SELECT area_m2, geom FROM stockpiles WHERE pile_id = ? AND year = ?", (name, newest[name])
            ).fetchone()
            assert row["geom"] == shapely.from_wkb(blob[40:])
            assert row["machine_area_m2"] == round(area)
            assert row["decision"] is None


def test_a_file_that_is_there_is_never_replaced_and_only_gets_what_it_lacks(folder):
    path = folder / REVIEW
    put(path, 1, decision="accept", **SIGNED)
    before = rows_of(path)
    assert offer(folder, "sim-port") is None
    without(path, before[1]["object_id"])
    node = path.stat().st_ino
    assert offer(folder, "sim-port") == "review.gpkg: 1 objects added"
    assert path.stat().st_ino == node
    after = rows_of(path)
    assert [r for r in after if r["object_id"] != before[1]["object_id"]] == [before[0], *before[2:]]
    assert {r["object_id"] for r in after} == {r["object_id"] for r in before}


def test_a_row_a_reviewer_deleted_does_not_come_back(folder):
    with opened(folder / REVIEW) as connection:
        connection.execute("DELETE FROM review WHERE fid = 1")
    assert offer(folder, "sim-port") is None


def test_a_busy_file_is_left_alone_and_gets_its_rows_later(folder, monkeypatch):
    monkeypatch.setattr(review_file, "_BUSY_S", 0.1)
    path = folder / REVIEW
    without(path)
    saving = sqlite3.connect(path, isolation_level=None)
    saving.execute("BEGIN IMMEDIATE")
    assert "nothing was added (database is locked); the next run adds what is new" in offer(folder, "sim-port")
    saving.execute("ROLLBACK")
    saving.close()
    assert rows_of(path) == []
    assert "objects added" in offer(folder, "sim-port")


def test_rows_can_be_added_where_a_reviewer_made_a_spatial_index(folder):
    """QGIS offers to make one: its triggers call functions that SQLite alone does not have."""
    path = folder / REVIEW
    without(path)
    with opened(path) as connection:
        connection.execute("CREATE VIRTUAL TABLE rtree_review_geom USING rtree(id, minx, maxx, miny, maxy)")
        connection.execute(
            "CREATE TRIGGER rtree_review_geom_insert AFTER INSERT ON review WHEN (new.geom NOT NULL AND NOT"
            " ST_IsEmpty(new.geom)) BEGIN INSERT OR REPLACE INTO rtree_review_geom VALUES (new.fid,"
            " ST_MinX(new.geom), ST_MaxX(new.geom), ST_MinY(new.geom), ST_MaxY(new.geom)); END"
        )
    assert "objects added" in offer(folder, "sim-port")
    row = rows_of(path)[0]
    with opened(path) as connection:
        box = connection.execute("SELECT minx, miny, maxx, maxy FROM rtree_review_geom ORDER BY id").fetchone()
    assert box == pytest.approx(row["geom"].bounds, abs=1.0), "an index is of 32 bits, rounded outwards"


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_none_is_told_and_left(folder, content):
    path = folder / REVIEW
    path.write_bytes(content)
    said = offer(folder, "sim-port")
    assert said.startswith("review.gpkg: nothing was added")
    assert "move the file away, and the next run makes a new one" in said
    assert "adds what is new" not in said
    assert path.read_bytes() == content
    with pytest.raises(ReviewError, match=r"review\.gpkg"):
        read_review(path)


def test_a_file_without_its_layer_is_told_though_nothing_is_to_be_added(folder):
    with opened(folder / REVIEW) as connection:
        connection.execute("DROP TABLE review")
    said = offer(folder, "sim-port")
    assert "nothing was added (lacks the table review; move the file away" in said
    assert str(folder) not in said


def test_a_folder_in_place_of_the_file_is_told_as_such(folder):
    (folder / REVIEW).unlink()
    (folder / REVIEW).mkdir()
    assert "is no plain file; move it away, and the next run makes a new one" in offer(folder, "sim-port")
    with pytest.raises(ReviewError, match="is no plain file; move it away, and the next run makes a new one"):
        read_review(folder / REVIEW)


def test_a_file_that_may_not_be_written_is_not_called_damaged(folder, monkeypatch):
    without(folder / REVIEW)

    def refused(*_):
        with sqlite3.connect(f"{(folder / REVIEW).as_uri()}?mode=ro", uri=True) as connection:
            connection.execute("DELETE FROM offered")

    monkeypatch.setattr(review_file, "_insert", refused)
    assert "check its permissions and the space on disk" in offer(folder, "sim-port")


def test_a_file_that_is_made_anew_tells_where_former_decisions_are(folder, monkeypatch):
    (folder / REVIEW).unlink()
    assert re.fullmatch(r"review\.gpkg: \d+ objects to review", offer(folder, "sim-port"))
    (folder / REVIEW).unlink()
    whole = review_file.read_rows
    monkeypatch.setattr(review_file, "read_rows", lambda p, name: [1, 2] if name == "reviews" else whole(p, name))
    assert offer(folder, "sim-port").endswith("to review; it does not show the 2 decisions the ledger holds")


def test_a_file_of_another_site_gets_no_rows(folder):
    put_site(folder / REVIEW, "sim-camp")
    without(folder / REVIEW)
    assert "nothing was added (is of site 'sim-camp', not of sim-port" in offer(folder, "sim-port")
    assert rows_of(folder / REVIEW) == []


def test_what_was_rejected_is_not_put_in_again_under_another_name(folder):
    rows = read_tables(folder / "sim-port.gpkg", ("stockpiles",))["stockpiles"]
    names = sorted({row.pile_id for row in rows})

    def renamed(row):
        if row.pile_id == names[0]:
            return dataclasses.replace(row, review="rejected", reviewed_as="p00000-000000")
        if row.pile_id == names[1]:
            return dataclasses.replace(row, review="rejected", reviewed_as=names[1])
        return row

    assert [o.object_id for o in piles_to_review(map(renamed, rows))] == names[1:]


def test_gains_of_the_newest_year_since_the_baseline_are_put_in():
    def gain(year_from, year_to, zone="site", change="certain_gain"):
        return BoundaryChangeRow(square(0, 0), year_from, year_to, change, zone, 1e4, None, None, None, None)

    rows = [
        gain(2018, 2019), gain(2018, 2020), gain(2019, 2020), gain(2018, 2020, "control:x"),
        gain(2018, 2019, "named:y"), gain(2018, 2020, "site", "possible_gain"), gain(2018, 2020, "named:z"),
    ]  # fmt: skip
    offers = gains_to_review(rows, {"site", "named:y", "named:z"}, "2018")
    assert [o.object_id for o in offers] == ["2018-2020 named:z", "2018-2020 site"]


def test_everything_of_a_simulated_site_says_so(folder):
    with opened(folder / REVIEW) as connection:
        told = [name for (name,) in connection.execute("SELECT identifier FROM gpkg_contents")]
    assert told
    assert all(name.startswith("SIMULATED ") for name in told)


# --- what comes back ---


def test_a_fresh_file_waits(folder, site):
    assert checked(folder / REVIEW, site) == ([], [])


def test_accept_reject_edit_own_and_withdraw_are_taken(folder, site):
    path = folder / REVIEW
    put(path, 1, decision="accept", **SIGNED)
    put(path, 2, decision="reject", reason="shadow of a shed", year=2018, **SIGNED)
    reshape(path, 3, wide(path, 3))
    put(path, 3, decision="edit", reason="the edge lies further out", uncertainty_m=1.5, **SIGNED)
    draw(path, translate(rows_of(path)[0]["geom"], 300, 0), object="own_yard", object_id="yard", **OWN)
    copy_row(path, 1, decision="withdraw", reason="not mine to say", analyst="B. Lee", reviewed_on="2024-03-02")
    decisions, faults = checked(path, site)
    assert faults == []
    accept, reject, edit, own, withdraw = decisions
    assert (accept.choice, accept.year, accept.machine.year) == ("accept", None, 2019)
    assert (reject.choice, reject.year, reject.reason) == ("reject", 2018, "shadow of a shed")
    assert (edit.choice, edit.year, edit.of_year, edit.uncertainty_m) == ("edit", None, 2019, 1.5)
    assert edit.outline.contains(edit.machine.outline)
    assert (own.kind, own.object_id, own.source_date) == ("own_yard", "yard", dt.date(2019, 6, 1))
    assert (withdraw.choice, withdraw.analyst) == ("withdraw", "B. Lee")


def put_site(path, name):
    with opened(path) as connection:
        connection.execute("UPDATE made_for SET site = ?", (name,))


def config_of(tmp_path, folder):
    return Config(out=folder.parent, reviews=tmp_path / "decided")


def test_a_file_of_another_site_is_refused_and_its_ledger_untouched(folder, site, tmp_path):
    path, config = folder / REVIEW, config_of(tmp_path, folder)
    put(path, 1, decision="accept", **SIGNED)
    put_site(path, "sim-camp")
    with pytest.raises(ReviewError, match=r"review\.gpkg: is of site 'sim-camp', not of sim-port; .*nothing is taken"):
        review_site(site, config, path)
    assert not config.reviews.exists()
    put_site(path, "sim-port")
    assert len(review_site(site, config, path).sorted_out.new) == 1


def test_a_file_that_names_no_site_must_lie_in_this_one(folder, site, tmp_path):
    """Files of earlier versions do not name theirs."""
    path, config = folder / REVIEW, config_of(tmp_path, folder)
    put(path, 1, decision="accept", **SIGNED)
    with opened(path) as connection:
        connection.execute("DROP TABLE made_for")
    elsewhere = dataclasses.replace(site, aoi=translate(site.aoi, 1.0))
    with pytest.raises(ReviewError, match=r"holds objects outside site sim-port; .*nothing is taken"):
        review_site(elsewhere, config, path)
    assert len(review_site(site, config, path).sorted_out.new) == 1


def test_review_holds_the_ledger_to_the_present_result(folder, site, tmp_path):
    config = config_of(tmp_path, folder)
    put(folder / REVIEW, 1, decision="accept", **SIGNED)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8")) | {"reviews_sha256": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ReviewError, match="is not there, but"):
        review_site(site, config)
    assert not config.reviews.exists()


def test_a_manifest_that_cannot_be_read_vouches_for_no_ledger_and_that_is_said(folder, site, tmp_path):
    config, said = config_of(tmp_path, folder), []
    assert ledger_of(site, config, said.append) == Ledger()
    assert said == []
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert ledger_of(site, config, said.append) == Ledger()
    (line,) = said
    assert line.startswith("decisions cannot be held to the former result: ")
    assert "manifest.json: " in line
    with pytest.raises(ProductError, match=r"manifest\.json"):
        review_site(site, config)
    (folder / "manifest.json").unlink()
    assert len(review_site(site, config).waiting) > 0


def test_a_file_must_name_one_site(folder):
    for statement in ("DELETE FROM made_for", "INSERT INTO made_for VALUES (7), ('b')"):
        with opened(folder / REVIEW) as connection:
            connection.execute(statement)
        with pytest.raises(ReviewError, match="made_for does not name one site; move it away"):
            read_review(folder / REVIEW)


GOOD = {"decision": "reject", "reason": "shadow", **SIGNED}
FAULTS = [
    ({"decision": "maybe"}, "decision is 'maybe': choose one of accept, reject, edit, unclear, withdraw"),
    ({"decision": "own"}, "decision is 'own'"),
    ({"decision": b"accept"}, "decision is b'accept'"),
    ({"object": "camp"}, "object is 'camp': choose one of pile"),
    ({"object": None}, "object is empty"),
    ({"object_id": "p0"}, "object_id is 'p0': no such object"),
    ({"object_id": None}, "object_id is empty"),
    ({"analyst": None}, "analyst is empty"),
    ({"analyst": "   "}, "analyst is empty"),
    ({"analyst": b"\x00\x01"}, "analyst is"),
    ({"reviewed_on": None}, "reviewed_on is empty"),
    ({"reviewed_on": "yesterday"}, "reviewed_on is 'yesterday': give a day"),
    ({"reviewed_on": 20240301}, "reviewed_on is 20240301"),
    ({"reviewed_on": "2024-06-02"}, "reviewed_on is '2024-06-02': is not between"),
    ({"imagery": None}, "imagery is empty"),
    ({"reason": None}, "reason is empty"),
    ({"reason": "a\0b"}, "reason is"),
    ({"reason": "\x1b[2J"}, "reason is"),
    ({"reason": "x" * 2001}, "at most 2,000 characters"),
    ({"year": 23}, "year is 23"),
    ({"year": 2019.5}, "year is 2019.5"),
    ({"year": 2035}, "year is 2035: is after the day of the decision; correct the year"),
    ({"year": 2025}, "year is 2025: is after the day of the decision"),
    ({"decision": "unclear", "reason": None}, "reason is empty"),
    ({"decision": "edit", "uncertainty_m": 2.0}, "geometry is 'the outline as we have it'"),
    ({"decision": "edit"}, "uncertainty_m is empty"),
    ({"uncertainty_m": -1.0}, "uncertainty_m is -1.0"),
    ({"uncertainty_m": 1e9}, "uncertainty_m is 1000000000.0"),
    ({"geom": b"GP"}, "geometry is 'unreadable"),
    ({"geom": b"\xff" * 99}, "geometry is 'unreadable"),
    ({"geom": "POINT(1 1)"}, "geometry is 'unreadable"),
]


@pytest.mark.parametrize(("slip", "said"), FAULTS, ids=[str(list(s.items()))[:40] for s, _ in FAULTS])
def test_each_slip_is_one_line_with_row_column_value_and_remedy(folder, site, slip, said):
    path = folder / REVIEW
    with opened(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
    put(path, 2, **(GOOD | slip))
    fault = one_fault(path, site)
    assert fault.startswith("row 2: ")
    assert said in fault
    assert fault.isprintable()
    assert len(fault) < 500


def test_a_withdrawal_without_a_year_is_for_all_years_also_of_an_own_pile(folder, site):
    path = folder / REVIEW
    shape = translate(rows_of(path)[0]["geom"], 300, 0)
    withdrawn = OWN | {"decision": "withdraw", "reason": "a shadow"}
    draw(path, shape, object="own_pile", object_id="mine", **withdrawn)
    (taken,), faults = checked(path, site)
    assert not faults
    assert taken.takes_back_all


def test_a_moved_outline_that_is_not_called_edited_is_not_lost(folder, site):
    path = folder / REVIEW
    reshape(path, 2, wide(path, 2))
    put(path, 2, **GOOD)
    assert "to keep the new outline choose edit" in one_fault(path, site)


@pytest.mark.parametrize(
    ("outline", "said"),
    [
        ("crossed", "not a valid polygon"),
        ("far", "outside the AOI"),
        ("infinite", "draw a polygon"),
        ("none", "geometry is empty: draw the outline"),
        ("many", "simplify it to 20,000"),
    ],
)
def test_an_own_outline_must_be_one(folder, site, outline, said):
    path = folder / REVIEW
    real = rows_of(path)[0]["geom"]
    x, y = real.centroid.x, real.centroid.y
    shape = {
        "crossed": shapely.from_wkt(f"POLYGON(({x} {y}, {x + 50} {y + 50}, {x + 50} {y}, {x} {y + 50}, {x} {y}))"),
        "far": translate(real, 9e4, 0),
        "infinite": shapely.from_wkt(f"POLYGON(({x} {y}, inf {y + 50}, {x + 50} {y}, {x} {y}))"),
        "none": shapely.MultiPolygon(),
        "many": shapely.Point(x, y).buffer(100, quad_segs=6000),
    }[outline]
    draw(path, shape if not shape.is_empty else real, object="own_pile", object_id="mine", **OWN)
    if outline == "none":
        put(path, len(rows_of(path)), geom=None)
    assert said in one_fault(path, site)


def test_an_outline_of_tiny_edges_is_taken(folder, site):
    """To the millimetre, vertices of a buffer cross: that is no slip of the reviewer."""
    path = folder / REVIEW
    real = rows_of(path)[0]["geom"].centroid
    tooth = [(real.x + 60, real.y + 20), (real.x, real.y + 20.0001), (real.x + 60, real.y + 20.0002)]
    comb = shapely.Polygon(
        [(real.x + 60, real.y), *tooth, (real.x + 60, real.y + 40), (real.x - 9, real.y + 43), (real.x - 9, real.y - 1)]
    )
    assert comb.is_valid
    draw(path, comb, object="own_yard", object_id="comb", **OWN)
    (taken,), faults = checked(path, site)
    assert not faults
    assert taken.outline.is_valid


def test_two_rows_of_one_reviewer_that_differ_are_both_refused(folder, site):
    path = folder / REVIEW
    put(path, 1, decision="accept", **SIGNED)
    copy_row(path, 1)
    decisions, faults = checked(path, site)
    assert len(decisions) == 1
    assert not faults, "the same said twice is said once"
    copy_row(path, 1, decision="reject", reason="no")
    decisions, faults = checked(path, site)
    assert decisions == []
    assert "row 1 by the same reviewer" in str(faults[0])
    put(path, len(rows_of(path)), analyst="B. Lee")
    assert len(checked(path, site)[0]) == 2


def test_read_only_columns_are_not_believed(folder, site):
    path = folder / REVIEW
    put(path, 1, decision="accept", machine_area_m2=9e9, machine_tier="confirmed", machine_year=1900, **SIGNED)
    (taken,), _ = checked(path, site)
    assert taken.machine.area_m2 < 1e5
    assert (taken.machine.tier, taken.machine.year) == ("probable", 2019)


def test_a_file_that_lacks_a_column_or_is_a_view_is_told(folder):
    path = folder / REVIEW
    with opened(path) as connection:
        connection.execute("ALTER TABLE review RENAME COLUMN reason TO why")
    with pytest.raises(ReviewError, match="lacks reason"):
        read_review(path)
    with opened(path) as connection:
        connection.execute("ALTER TABLE review RENAME COLUMN why TO reason")
        connection.execute("ALTER TABLE review RENAME TO hidden")
        connection.execute("CREATE VIEW review AS SELECT * FROM hidden")
    with pytest.raises(ReviewError, match="lacks the table review"):
        read_review(path)


def test_too_many_rows_and_too_large_outlines_are_refused(folder, site, monkeypatch):
    path = folder / REVIEW
    put(path, 2, **GOOD)
    monkeypatch.setattr(review_file, "_MOST_BLOB", 50)
    assert "larger than 8 MB" in one_fault(path, site)
    monkeypatch.setattr(review_file, "_MOST_ROWS", 2)
    with pytest.raises(ReviewError, match="more than 2 rows"):
        read_review(path)
    monkeypatch.setattr(review_file, "_MOST_FILE", 100)
    with pytest.raises(ReviewError, match="more than 100 bytes"):
        read_review(path)


def test_reading_does_not_change_the_file(folder):
    path = folder / REVIEW
    before = path.read_bytes()
    read_review(path)
    assert path.read_bytes() == before


def test_the_command_names_what_it_cannot_use(tmp_path, port):
    done = call("review", "sim-port", "--config", port / "config.yaml", "--out", tmp_path)
    assert done.returncode == 1
    assert "review.gpkg: is not there; stockline run makes it" in done.stderr
    assert done.stdout == ""
    two = call("review", "sim-port", "sim-port", "--file", "x.gpkg", "--config", port / "config.yaml")
    assert two.returncode == 2
    assert "name one site" in two.stderr


def test_what_a_decision_says_is_equal_whatever_the_machine_said(folder, site):
    path = folder / REVIEW
    put(path, 1, decision="accept", **SIGNED)
    (taken,), _ = checked(path, site)
    other = dataclasses.replace(taken, machine=dataclasses.replace(taken.machine, area_m2=1.0), line=9)
    assert other.said == taken.said
