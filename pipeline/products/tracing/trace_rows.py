"""A row of a layer in the lines of a chain: its number with its interval, its verdict, its reason. Pure."""

from collections.abc import Callable, Iterator, Mapping

from pipeline.products.tracing.links import RowLink


def row_lines(link: RowLink) -> Iterator[str]:
    """Say what a row says."""
    yield from _ROWS.get(link.layer, _plain_row)(link)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "not computed"
    return f"{value:,.1f} {unit}" if unit != "1" else f"{value:g}"


def _interval(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    if value is None or low is None or high is None:
        return _number(value, unit)
    return f"{_number(value, unit)} (95 % interval {_number(low, unit)} to {_number(high, unit)})"


def _change(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"difference {_interval(row['delta'], row['lo95'], row['hi95'], row['unit'])}; verdict: {row['verdict']}"
    if row["p_value"] is not None:
        limit = _number(row["mdc95"], row["unit"])
        yield f"called from {limit} (MDC); p = {row['p_value']:.3g}, q = {row['q_value']:.3g}"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _measurement(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{_interval(row['value'], row['lo95'], row['hi95'], row['unit'])}; status: {row['status']}"
    yield f"{row['n_dates']} clear dates, {100 * row['valid_fraction']:.0f} % of the zone seen on enough"


def _trend(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"a year {_interval(row['slope_per_year'], row['lo95'], row['hi95'], row['unit'])}; verdict: {row['verdict']}"
    yield f"{row['n_years']} adequate years, {row['year_first']} to {row['year_last']}"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _break(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"after minus before: {_number(row['delta'], row['unit'])}; verdict: {row['verdict']}"
    yield f"resolution {row['resolution']} of {row['adopted']}; {row['n_before']} years before, {row['n_after']} after"
    if row["reason"]:
        yield f"reason: {row['reason']}"


def _claim(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"claim: {row['quote']} ({row['source']})"
    yield f"test: {row['test']}"
    yield f"verdict: {row['verdict']}; {row['reason']}"


def _pile(link: RowLink) -> Iterator[str]:
    row = link.columns
    area = _interval(row["area_m2"], row["area_lo95_m2"], row["area_hi95_m2"], "m2")
    yield f"{area}; {row['tier']}, {row['n_dates']} dates outlined"


def _observation(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{row['date']}: {_interval(row['area_m2'], row['area_lo95_m2'], row['area_hi95_m2'], 'm2')}"
    levels = ", ".join(
        f"{name} {'not known' if row[key] is None else format(row[key], '.4f')}"
        for name, key in (("pile", "pile_level"), ("ground", "background_level"))
    )
    yield f"mean reflectance of the 10 m bands: {levels}"
    yield f"usable: {100 * row['clear_fraction']:.0f} % of pile and surroundings"


def _pile_change(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"difference {_interval(row['delta_m2'], row['lo95_m2'], row['hi95_m2'], 'm2')}; verdict: {row['verdict']}"


def _ground(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{row['class'].replace('_', ' ')}: {_number(row['area_m2'], 'm2')}, {row['year_start']} to {row['year_end']}"


def _boundary(link: RowLink) -> Iterator[str]:
    row = link.columns
    yield f"{row['change'].replace('_', ' ')}: {_number(row['area_m2'], 'm2')}"
    if row["advance_p50_m"] is not None:
        steps = ", ".join(
            f"{name} {row[f'advance_{key}_m']:.1f} m"
            for name, key in (("median", "p50"), ("90 %", "p90"), ("maximum", "max"), ("length", "length"))
        )
        yield f"advance of the outline: {steps}"


def _scene_row(link: RowLink) -> Iterator[str]:
    yield "used" if link.columns["used"] else f"not used: {link.columns['reason']}"


def _plain_row(link: RowLink) -> Iterator[str]:
    told = {name: f"{v:,.6g}" if isinstance(v, float) else v for name, v in link.columns.items() if v is not None}
    yield ", ".join(f"{name} {value}" for name, value in told.items())


_ROWS: Mapping[str, Callable[[RowLink], Iterator[str]]] = {
    "changes": _change,
    "measurements": _measurement,
    "trends": _trend,
    "breaks": _break,
    "claims": _claim,
    "stockpiles": _pile,
    "stockpile_observations": _observation,
    "stockpile_changes": _pile_change,
    "footprints": _ground,
    "boundary_changes": _boundary,
    "scenes": _scene_row,
}
