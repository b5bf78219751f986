"""What decisions come to: states, numbers, other names, own outlines, agreement; held against hand arithmetic."""

import math
import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fixture import EPSG, decided, drew, machine, own, pile, square
from shapely.geometry import MultiPolygon

from pipeline.config import Config
from pipeline.findings import YearDates, ZoneGround
from pipeline.grid import geodesic_area_m2
from pipeline.pile_measures import stock_covariance
from pipeline.review.agreement import LEAST_OBJECTS, agreements, kappa_of
from pipeline.review.comparison import boundary_distances, compare_outlines
from pipeline.review.numbers import as_measured, reviewed_piles
from pipeline.review.standing import stand
from pipeline.review.stock import Seen, reviewed_stock
from pipeline.types import Zone

CONFIG = Config()
YEARS = (2021, 2022, 2023)
THERE = dict.fromkeys(YEARS, square(0, 0))


def states(decisions, piles):
    return {key: standing.state for key, standing in stand(decisions, piles, EPSG).by_year.items()}


def counted(decisions, piles):
    """Areas after review: pile to its years."""
    kept = reviewed_piles(piles, stand(decisions, piles, EPSG), decisions, EPSG, CONFIG)
    return {p.pile_id: [year.area_m2 for year in p.years] for p in kept}


class Numbers(typing.NamedTuple):
    measured: dict
    changes: dict


def numbers(decisions, piles):
    """Numbers of the whole site after review, the prefix left out: by metric and year, and by metric and two years."""
    whole = Zone("site", "site", "Site", square(-500, -500, 2000), 4e6)
    seen = ZoneGround("site", 0, 0, 0, 1, 1, 9, 9, {}, ())
    dates = [YearDates(year, (150,) * 9, (150,) * 9) for year in YEARS]
    site = Seen(piles, [whole], {year: [seen] for year in YEARS}, dates, EPSG)
    measured, changes = reviewed_stock(site, stand(decisions, piles, EPSG), decisions, CONFIG)
    short = len("reviewed_")
    return Numbers(
        {(m.metric[short:], m.year): m for m in measured},
        {(c.metric[short:], c.year_from, c.year_to): c for c in changes},
    )


# --- states ---

TRUTH = [
    ([], None),
    ([decided("accept")], "accepted"),
    ([decided("reject")], "rejected"),
    ([drew(square(0, 0, 80))], "edited"),
    ([decided("accept"), decided("accept", analyst="Lee")], "accepted"),
    ([decided("reject"), decided("reject", analyst="Lee")], "rejected"),
    ([decided("accept"), decided("reject", analyst="Lee")], "contested"),
    ([drew(square(0, 0, 80)), decided("reject", analyst="Lee")], "contested"),
    ([decided("accept"), drew(square(0, 0, 80), analyst="Lee")], "edited"),
    ([decided("reject", year=2021)], None),
    ([decided("reject", year=2022)], "rejected"),
    ([decided("accept"), decided("reject", year=2022)], "rejected"),
    ([decided("reject"), decided("accept", year=2022)], "accepted"),
    ([decided("reject", "p2", machine=machine(square(900, 0)))], None),
    ([drew(square(0, 0, 80), year=None)], "edited"),
    ([decided("unclear")], "unclear"),
    ([decided("accept"), decided("unclear", year=2022)], "unclear"),
    ([decided("unclear"), decided("accept", analyst="Lee")], "accepted"),
    ([decided("unclear"), decided("reject", analyst="Lee")], "rejected"),
    ([decided("unclear"), decided("unclear", analyst="Lee")], "unclear"),
]


@pytest.mark.parametrize(("decisions", "state"), TRUTH)
def test_state_of_a_pile_in_a_year(decisions, state):
    assert states(decisions, [pile("p1", THERE)]).get(("p1", 2022)) == state


def test_a_decision_is_for_a_pile_only_where_it_touches_one_of_its_years():
    said = [decided("reject", year=2025, line=1), decided("accept", year=2021, line=2)]
    assert stand(said, [pile("p1", THERE)], EPSG).applied == {2: ("p1",)}


def test_of_two_outlines_the_surer_counts_then_the_newer():
    rough, fine = drew(square(0, 0, 80), uncertainty_m=5.0, line=2), drew(square(0, 0, 90), analyst="Lee", line=1)
    for order in ([rough, fine], [fine, rough]):
        judged = stand(order, [pile("p1", THERE)], EPSG)
        assert judged.by_year["p1", 2022].outline is fine


# --- the same thing under another name ---


@pytest.mark.parametrize(
    ("now", "rejected"),
    [
        (square(0, 0, 100), True),
        (square(49, 0, 100), True),  # just over half of it on rejected ground
        (square(51, 0, 100), False),
        (square(20, 20, 40), True),  # a part of what was rejected
        (square(0, 0, 145), False),  # a large pile that has come to include it: 100^2 < 145^2 / 2
        (square(0, 0, 140), True),
        (square(500, 0), False),
    ],
)
def test_a_rejected_pile_does_not_come_back_under_another_name(now, rejected):
    found = states([decided("reject", "old")], [pile("new", dict.fromkeys(YEARS, now))])
    assert found == (dict.fromkeys((("new", year) for year in YEARS), "rejected") if rejected else {})


@pytest.mark.parametrize(
    ("now", "accepted"),
    [(square(0, 0, 100), True), (square(33, 0, 100), True), (square(34, 0, 100), False), (square(20, 20, 40), False)],
)
def test_an_acceptance_holds_only_for_what_is_the_same(now, accepted):
    """Shifted by a third: 67 / 133 > 1/2; by 34 m: 66 / 134 < 1/2."""
    found = states([decided("accept", "old")], [pile("new", dict.fromkeys(YEARS, now))])
    assert ({"accepted"} if accepted else set()) == set(found.values())


def test_an_acceptance_stays_with_its_own_name_while_that_is_there():
    both = [pile("old", THERE), pile("new", dict.fromkeys(YEARS, square(10, 0)))]
    assert {name for name, _ in states([decided("accept", "old")], both)} == {"old"}
    assert {name for name, _ in states([decided("reject", "old")], both)} == {"old", "new"}


def test_a_decision_on_its_own_name_goes_before_one_on_its_place():
    said = [decided("reject", "old", line=1), decided("accept", "new", line=2)]
    judged = stand(said, [pile("new", THERE)], EPSG)
    assert judged.by_year["new", 2022].state == "accepted"
    assert judged.applied == {2: ("new",)}


def test_the_outline_of_the_nearest_year_decides():
    moving = pile("new", {2021: square(0, 0), 2022: square(300, 0), 2023: square(600, 0)})
    assert states([decided("reject", "old", machine=machine(year=2020))], [moving])
    assert not states([decided("reject", "old", machine=machine(year=2022))], [moving])


# --- numbers ---


def test_without_decisions_the_counted_piles_are_the_machines():
    piles = [
        pile("p1", THERE),
        pile("p2", THERE, tier="candidate"),
        pile("p3", {2021: 0, 2022: None, 2023: square(300, 0)}),
    ]
    assert counted([], piles) == {"p1": [1e4] * 3, "p3": [0.0, None, 1e4]}


def test_rejected_is_left_out_accepted_candidates_count_contested_stays():
    piles = [pile("p1", THERE), pile("p2", dict.fromkeys(YEARS, square(300, 0)), tier="candidate")]
    assert counted([decided("reject", "p1"), decided("accept", "p2")], piles) == {"p2": [1e4] * 3}
    assert counted([decided("accept", "p2", year=2022)], piles)["p2"] == [1e4] * 3, (
        "one year counted alone is an increase"
    )
    contested = [
        decided("accept", "p2"),
        decided("reject", "p2", analyst="Lee"),
        decided("reject", "p1", analyst="Lee"),
    ]
    assert counted([*contested, decided("accept", "p1")], piles) == {"p1": [1e4] * 3}


def test_rejected_in_one_year_is_absent_in_it_with_the_smallest_piles_uncertainty():
    piles = [pile("p1", THERE)]
    said = [decided("reject", year=2022)]
    (kept,) = reviewed_piles(piles, stand(said, piles, EPSG), said, EPSG, CONFIG)
    assert [y.area_m2 for y in kept.years] == [1e4, 0.0, 1e4]
    assert kept.years[1].sigma_m2 == pytest.approx(CONFIG.stockpile.min_measure_px * 100 / 1.96)
    assert kept.years[1].geometry is None


def test_what_cannot_be_told_is_neither_there_nor_absent():
    two = [pile("p1", THERE), pile("p2", dict.fromkeys(YEARS, square(300, 0)))]
    assert counted([decided("unclear", year=2022)], two)["p1"] == [1e4, None, 1e4]
    gone = [decided("unclear", year=2022), decided("reject", year=2021), decided("reject", year=2023)]
    assert counted(gone, two)["p1"] == [0.0, None, 0.0], "it is not left out: that would be an absence in 2022"
    assert counted([decided("unclear")], [pile("p1", THERE, tier="candidate")]) == {}


@pytest.mark.parametrize(("edge_m", "status"), [(20, "partial"), (100, "insufficient_data")])
@pytest.mark.parametrize("year", [2022, None])
def test_a_year_that_cannot_be_told_is_widened_by_the_pile_or_left_open(edge_m, status, year):
    piles = [pile("p1", dict.fromkeys(YEARS, square(300, 0, edge_m))), pile("p2", THERE)]
    found = numbers([decided("unclear", year=year)], piles)
    area = found.measured["stockpile_area_m2", 2022]
    assert area.status == found.measured["stockpile_count", 2022].status == status
    assert "a reviewer cannot tell" in area.reason
    if status == "partial":
        assert area.value == pytest.approx(1e4)
        assert area.sigma >= edge_m**2
        assert found.measured["stockpile_count", 2022].sigma >= 1


def test_an_own_pile_of_one_year_is_no_increase_of_the_count():
    found = numbers([own(square(300, 0, 20), year=2023)], [pile("p1", THERE)])
    assert [found.measured["stockpile_count", year].value for year in YEARS] == [1, 1, 2]
    assert found.changes["stockpile_count", 2021, 2023].verdict == "no_detectable_change"


def test_a_drawn_outline_takes_the_place_of_ours_in_its_year():
    piles = [pile("p1", THERE)]
    said = [drew(square(0, 0, 80), uncertainty_m=2.0)]
    (kept,) = reviewed_piles(piles, stand(said, piles, EPSG), said, EPSG, CONFIG)
    # The ledger keeps outlines to the millimetre.
    assert kept.years[1].area_m2 == pytest.approx(geodesic_area_m2(square(0, 0, 80), EPSG), rel=1e-5)
    assert kept.years[1].area_m2 == pytest.approx(6400, rel=2e-3)
    assert 1.96 * kept.years[1].sigma_m2 == pytest.approx(4 * 80 * 2.0, rel=1e-5), "perimeter times uncertainty"
    assert [y.area_m2 for y in kept.years][::2] == [1e4, 1e4]


EDITED = drew(square(-6, -6, 112), year=2023, uncertainty_m=1.0)
ABSENT = pile("p1", {2021: 0, 2022: square(0, 0), 2023: square(0, 0)})


@pytest.mark.parametrize(
    ("decisions", "piles", "compared"),
    [
        ([EDITED], [pile("p1", THERE)], {"area": {(2021, 2022)}, "count": {(2021, 2022), (2021, 2023), (2022, 2023)}}),
        (
            [EDITED, drew(square(-6, -6, 112), year=2021, line=2)],
            [pile("p1", THERE)],
            {"area": {(2021, 2023)}, "count": {(2021, 2022), (2021, 2023), (2022, 2023)}},
        ),
        ([EDITED], [ABSENT], {"area": {(2021, 2022)}, "count": {(2021, 2022), (2021, 2023), (2022, 2023)}}),
        (
            [EDITED, decided("reject", year=2021)],
            [ABSENT],
            {"area": {(2021, 2022), (2021, 2023)}, "count": {(2021, 2022), (2021, 2023), (2022, 2023)}},
        ),
        (
            [drew(square(0, 0, 80), year=2021)],
            [ABSENT],
            {"area": {(2022, 2023)}, "count": {(2022, 2023)}},
        ),
        (
            [own(square(300, 0), year=y, line=y) for y in YEARS],
            [pile("p1", THERE)],
            {"area": {(2021, 2022), (2021, 2023), (2022, 2023)}, "count": {(2021, 2022), (2021, 2023), (2022, 2023)}},
        ),
        (
            [own(square(10, 10, 50), year=2021)],
            [ABSENT],
            {"area": {(2022, 2023)}, "count": {(2022, 2023)}},
        ),
    ],
    ids=[
        "one edit",
        "two edits",
        "not seen before",
        "stated absent before",
        "a hand alone",
        "own in all",
        "ours later",
    ],
)
def test_years_of_two_origins_are_not_compared(decisions, piles, compared):
    """A hand's outline beside the program's of another year made an increase of a pile that stayed."""
    changes = numbers(decisions, piles).changes
    for short, metric in (("area", "stockpile_area_m2"), ("count", "stockpile_count")):
        of_metric = {key[1:]: change for key, change in changes.items() if key[0] == metric}
        assert {years for years, c in of_metric.items() if c.verdict != "insufficient_data"} == compared[short]
        for years in of_metric.keys() - compared[short]:
            assert "outlined by a reviewer in one of the years and measured by the program" in of_metric[years].reason


def test_an_outline_drawn_by_hand_shares_no_error_with_other_years():
    piles = [pile("p1", THERE), pile("p2", dict.fromkeys(YEARS, square(300, 0)))]
    said = [drew(square(0, 0, 80)), own(square(600, 0))]
    kept = reviewed_piles(piles, stand(said, piles, EPSG), said, EPSG, CONFIG)
    ours = {p.pile_id: [y.year for y in p.years if y.geometry is not None] for p in as_measured(kept, piles)}
    assert ours == {"p1": [2021, 2023], "p2": [2021, 2022, 2023], "own-1 (Kim)": []}
    shared = stock_covariance(as_measured(kept, piles), [], CONFIG)
    assert {key for key in shared if key[0] == "p1"} == {("p1", "area_m2", 2021, 2023)}


def test_an_own_pile_counts_where_we_have_none_and_other_years_stay_open():
    piles = [pile("p1", THERE)]
    area = geodesic_area_m2(square(300, 0, 50), EPSG)
    found = counted([own(square(300, 0, 50))], piles)
    assert found["own-1 (Kim)"] == [None, pytest.approx(area, rel=1e-5), None]
    stated = [own(square(300, 0, 50)), own(None, year=2021, choice="reject"), own(square(300, 0, 40), year=2023)]
    assert counted(stated, piles)["own-1 (Kim)"] == [0.0, pytest.approx(area, rel=1e-5), pytest.approx(1600, rel=2e-3)]


def test_an_own_pile_counts_no_ground_twice():
    piles = [pile("p1", {2021: square(0, 0), 2022: square(0, 0), 2023: 0})]
    assert set(counted([own(square(10, 10, 50))], piles)) == {"p1"}, "it is one of ours"
    beside = counted([own(square(80, 0, 100))], piles)
    assert beside["own-1 (Kim)"][1] == pytest.approx(80 * 100, rel=2e-3), "only what lies outside of ours"
    two = counted([own(square(300, 0)), own(square(310, 0), "own-2", analyst="Lee", uncertainty_m=9.0)], piles)
    assert [name for name in two if name.startswith("own")] == ["own-1 (Kim)"], "two reviewers, one pile"
    rejected = [own(square(10, 10, 50)), decided("reject", "p1", analyst="Lee")]
    assert counted(rejected, piles)["own-1 (Kim)"][1] == pytest.approx(2500, rel=2e-3)


@given(st.lists(st.sampled_from(["accept", "reject", "withdraw"]), max_size=4), st.permutations(["p1", "p2", "p3"]))
def test_order_of_piles_changes_nothing(choices, order):
    piles = {name: pile(name, dict.fromkeys(YEARS, square(i * 300, 0))) for i, name in enumerate(("p1", "p2", "p3"))}
    said = [decided(c, f"p{i % 3 + 1}", analyst=f"r{i}", line=i) for i, c in enumerate(choices) if c != "withdraw"]
    expected = counted(said, list(piles.values()))
    assert counted(said, [piles[name] for name in order]) == expected


# --- outlines beside ours ---


def test_an_own_outline_beside_ours():
    piles = [pile("p1", THERE)]
    (found,) = compare_outlines([own(square(20, 0))], piles, {}, EPSG)
    assert found.compared_with == "piles of 2022"
    assert found.overlap == pytest.approx(80 / 120, rel=1e-3)
    assert found.share_of_ours_inside == pytest.approx(0.8, rel=1e-3)
    assert found.our_area_m2 == pytest.approx(1e4, rel=2e-3)
    (alone,) = compare_outlines([own(square(500, 0))], piles, {}, EPSG)
    assert alone.compared_with is None
    assert alone.distance_p50_m is None
    assert alone.area_m2 == pytest.approx(1e4, rel=2e-3)


def test_an_own_perimeter_is_held_against_occupied_ground_of_the_nearest_year():
    def ground(shape):
        return [ZoneGround("site", 0, 0, 0, 1, 1, 9, 9, {"bare_or_built": shape}, ())]

    by_year = {2018: ground(square(0, 0, 200)), 2021: ground(square(0, 0, 100)), 2022: ground(MultiPolygon())}
    (found,) = compare_outlines([own(square(-10, -10, 120), kind="own_perimeter", year=None)], [], by_year, EPSG)
    assert found.compared_with == "occupied ground of 2021"
    assert found.share_of_ours_inside == pytest.approx(1.0)
    assert found.distance_p50_m == pytest.approx(10.0, abs=0.01)
    assert 10.0 < found.distance_p90_m < 14.2, "at a corner it is 14 m"


def test_distance_of_boundaries_by_hand():
    p50, p90 = boundary_distances(square(0, 0, 100, 100), square(-30, 0, 200, 100))
    # Bottom and top lie on ours; the left edge is 30 m away at most, the right one 50, less near the corners.
    assert p50 == pytest.approx(0.0, abs=5.0)
    assert 25 <= p90 <= 50


# --- agreement ---


def pairs(both_yes, yes_no, no_yes, both_no):
    return [(True, True)] * both_yes + [(True, False)] * yes_no + [(False, True)] * no_yes + [(False, False)] * both_no


def test_kappa_of_the_textbook():
    """Cohen's table of 20, 5, 10, 15: observed 0.70, by chance 0.50, kappa 0.40."""
    kappa, half = kappa_of(pairs(20, 5, 10, 15))
    assert kappa == pytest.approx(0.40)
    assert half == pytest.approx(1.96 * math.sqrt(0.7 * 0.3 / 50) / 0.5)


def test_kappa_says_nothing_where_it_cannot():
    assert kappa_of(pairs(30, 0, 0, 0)) == (None, None)
    assert kappa_of(pairs(15, 0, 0, 15)) == (1.0, None)
    assert kappa_of(pairs(5, 1, 1, 5))[1] is None


def test_the_least_number_of_objects_is_what_its_reason_says():
    rng = np.random.default_rng(1)

    def half(n):
        one = rng.random((4000, n)) < 0.5
        other = one ^ (rng.random((4000, n)) < 0.15)
        p_o = (one == other).mean(1)
        p_e = one.mean(1) * other.mean(1) + (1 - one.mean(1)) * (1 - other.mean(1))
        return 1.96 * np.std((p_o - p_e) / (1 - p_e))

    assert half(LEAST_OBJECTS) == pytest.approx(0.3, abs=0.03)


def test_agreement_takes_only_what_both_judged_for_the_same_years():
    said = [
        decided("accept", "p1"), decided("reject", "p2"), decided("accept", "p3"), decided("reject", "p4", year=2022),
        drew(square(0, 0, 80), "p1", analyst="Lee", year=None), decided("accept", "p2", analyst="Lee"),
        decided("reject", "p4", analyst="Lee", year=2021), decided("reject", "p9", analyst="Lee"),
    ]  # fmt: skip
    (found,) = agreements(said)
    assert (found.analyst_a, found.analyst_b, found.kind) == ("Kim", "Lee", "pile")
    assert (found.n_objects, found.n_agreed, found.agreement) == (2, 1, 0.5)
    assert "too few" in found.note
    assert agreements(said[:4]) == []
