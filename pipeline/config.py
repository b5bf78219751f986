"""config.yaml -> one frozen record; what is wrong is named by file, key, value and remedy.

The sections and their defaults stand in :mod:`pipeline.sections`.
"""

import datetime as dt
import difflib
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError

from pipeline.change_sections import BoundaryConfig, FootprintConfig, StatsConfig
from pipeline.clear_section import ClearConfig
from pipeline.custody_section import CustodyConfig
from pipeline.documents import MOST_YAML, parsed_yaml
from pipeline.errors import InputError
from pipeline.notify_section import BatchConfig, NotifyConfig
from pipeline.printable import plain, unsigned
from pipeline.retention_section import RetentionConfig
from pipeline.sections import (
    AlignConfig,
    LimitsConfig,
    RadiometryConfig,
    Section,
    SourceConfig,
    StockpileConfig,
    UncertaintyConfig,
    VolumeConfig,
    Window,
    WindowsConfig,
    YearsConfig,
)

__all__ = [
    "NOT_CONTENT",
    "AlignConfig",
    "BatchConfig",
    "BoundaryConfig",
    "ClearConfig",
    "Config",
    "FootprintConfig",
    "LimitsConfig",
    "NotifyConfig",
    "RadiometryConfig",
    "RetentionConfig",
    "SourceConfig",
    "StatsConfig",
    "StockpileConfig",
    "UncertaintyConfig",
    "VolumeConfig",
    "Window",
    "WindowsConfig",
    "YearsConfig",
    "bounded_bytes",
    "content_of",
    "in_windows",
    "overridden",
    "read_config",
    "window_parts",
]

_MAX_SHOWN = 300
"""Of a value that is refused."""
_MANNERS = (
    "root", "hosts", "timeout_s", "retries", "patience_s", "max_concurrent", "max_requests_per_minute", "max_bytes",
    "max_processing_units",
)  # fmt: skip
NOT_CONTENT: Any = {
    **dict.fromkeys(("sites", "claims", "reviews", "out", "store", "batch", "custody", "notify", "retention"), True),
    "source": dict.fromkeys(_MANNERS, True),
}
"""Settings no result depends on: paths of this machine, how patiently and how much a network is asked, who is told."""


class Config(Section):
    """The whole configuration; ``source`` and ``sites`` alone are enough."""

    sites: Path = Path("aoi")
    """Folder of site files."""
    claims: Path | None = None
    """File of claims under test; None: no claim is judged."""
    reviews: Path = Path("reviews")
    """Folder of the decisions of reviewers, one ledger per site; one that is not there holds none."""
    out: Path = Path("out")
    """Folder of results, and of evidence unless ``store`` names another."""
    store: Path | None = None
    """Folder of evidence, which several batches may share; None: that of ``out``."""
    source: SourceConfig = SourceConfig()
    years: YearsConfig = YearsConfig()
    windows: WindowsConfig = WindowsConfig()
    min_dates: int = Field(6, ge=2)
    """Usable dates a year needs to be measured (science 2.7)."""
    max_season_shift_days: float = Field(60.0, ge=0)
    """Years whose mean day of year differs by more are not compared."""
    adequate_fraction: float = Field(0.8, gt=0, le=1)
    """Share of a zone that must have been seen on min_dates dates for its year to be measured."""
    radiometry: RadiometryConfig = RadiometryConfig()
    clear: ClearConfig = ClearConfig()
    align: AlignConfig = AlignConfig()
    stockpile: StockpileConfig = StockpileConfig()
    footprint: FootprintConfig = FootprintConfig()
    boundary: BoundaryConfig = BoundaryConfig()
    uncertainty: UncertaintyConfig = UncertaintyConfig()
    stats: StatsConfig = StatsConfig()
    volume: VolumeConfig = VolumeConfig()
    limits: LimitsConfig = LimitsConfig()
    batch: BatchConfig = BatchConfig()
    custody: CustodyConfig = CustodyConfig()
    notify: NotifyConfig = NotifyConfig()
    retention: RetentionConfig = RetentionConfig()


def overridden(config: Config, out: Path | None = None, years: tuple[int, int] | None = None) -> Config:
    """Return a configuration with the command line's choices; :class:`InputError` when one is refused."""
    changes: dict[str, object] = {}
    if out is not None:
        changes["out"] = out.resolve()
    if years is not None:
        changes["years"] = _years(years, config.years.baseline)
    return config.model_copy(update=changes)


def content_of(config: Config) -> dict[str, Any]:
    """Return the settings a result depends on, as JSON; paths are of this machine."""
    return config.model_dump(mode="json", exclude=NOT_CONTENT)


def _years(years: tuple[int, int], baseline: int | None) -> YearsConfig:
    first, last = years
    if last < first:
        raise InputError(f"--years {first}-{last}: the last year is before the first")
    if baseline is not None and not first <= baseline <= last:
        raise InputError(f"--years {first}-{last}: years.baseline = {baseline} of the configuration is outside")
    try:
        return YearsConfig(first=first, last=last, baseline=baseline)
    except ValidationError as error:
        raise InputError(f"--years {first}-{last}: {error.errors()[0]['msg']}") from error


def in_windows(day: dt.date, windows: tuple[Window, ...]) -> bool:
    """Whether a day of any year lies in one of the month-day windows, both ends included."""
    return any(start <= day.strftime("%m-%d") <= end for start, end in windows)


def window_parts(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """Return the parts of a season that two years must both have seen: the windows, or the halves of a single one."""
    if len(windows) > 1:
        return windows
    # Any leap year holds every month-day.
    start, end = (dt.date.fromisoformat(f"2000-{month_day}") for month_day in windows[0])
    middle = start + (end - start) // 2
    after = middle + dt.timedelta(days=1)
    return (windows[0][0], middle.strftime("%m-%d")), (min(after, end).strftime("%m-%d"), windows[0][1])


def bounded_bytes(path: Path, remedy: str, most: int) -> bytes:
    """Read a file that somebody wrote by hand; :class:`InputError` when it cannot be read or is no such file."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: cannot be read (it is no plain file); {remedy}")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if len(content) > most:
        raise InputError(f"{path}: has more than {most:,} bytes; {remedy}")
    return content


def read_config(path: Path) -> Config:
    """Read and check a configuration file; relative paths in it are relative to the file.

    Raises
    ------
    InputError
        The file is missing, is not YAML, or has a key or value that is refused; names file, key,
        value and the nearest known key.
    """
    content = bounded_bytes(path, "name a file with --config", MOST_YAML)
    try:
        document = parsed_yaml(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid YAML: {plain(str(error))}") from error
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise InputError(
            f"{path}: holds {type(document).__name__}, not keys and values; see config.yaml of the project"
        )
    try:
        return Config.model_validate(_with_absolute_paths(document, path.parent))
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from error


def _with_absolute_paths(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve the paths a file may hold against its own folder."""
    resolved = dict(document)
    for key in ("sites", "claims", "reviews", "out", "store"):
        if isinstance(resolved.get(key), str):
            resolved[key] = (folder / resolved[key]).resolve()
        elif key not in resolved and key not in {"claims", "store"}:
            resolved[key] = (folder / Config.model_fields[key].default).resolve()
    clear = resolved.get("clear")
    if isinstance(clear, dict) and isinstance(clear.get("dem"), str):
        resolved["clear"] = {**clear, "dem": str((folder / clear["dem"]).resolve())}
    custody = resolved.get("custody")
    if isinstance(custody, dict):
        named = {name: custody[name] for name in ("sign_key", "timestamp_ca") if isinstance(custody.get(name), str)}
        own = {name: str((folder / Path(path).expanduser()).resolve()) for name, path in named.items()}
        resolved["custody"] = {**custody, **own}
    source = resolved.get("source")
    if isinstance(source, dict) and isinstance(source.get("root"), str):
        source = resolved["source"] = {**source, "root": str((folder / source["root"]).resolve())}
    if isinstance(source, dict) and "url" in source:
        # A catalogue named without a sign_url is not the default provider: nothing is to be signed.
        habits = {} if source.get("preset") else {"sign_url": None, "raw_dn": None}
        if isinstance(source["url"], str) and "://" not in source["url"]:
            archive = str((folder / source["url"]).resolve())
            resolved["source"] = {**habits, "collection": None, **source, "url": archive}
        else:
            resolved["source"] = {**habits, **source}
    return resolved


def _first_problem(error: ValidationError) -> str:
    """One line on what is wrong first: key, value, remedy; an unknown key before a bad value, and the outermost key."""
    problems = error.errors(include_url=False)
    problem = min(problems, key=lambda p: (p["type"] != "extra_forbidden", len(p["loc"])))
    key = ".".join(str(part) for part in problem["loc"]) or "(top level)"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {key[:_MAX_SHOWN]!r}; {hint}{more}"
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "model_type":
        said = f"a section holds keys and values: {', '.join(_known_keys(problem['loc']))}"
    return plain(f"{key} = {_shown_input(problem['input'])}: {said}{more}")


def _shown_input(value: object) -> str:
    """Write a refused value as it may be shown: cut, and without what stands in an address to open it."""
    text = repr(unsigned(value) if isinstance(value, str) else value)
    if not isinstance(value, str) and re.search(r"[@?]|://", text):
        text = f"a {type(value).__name__}"  # addresses may be in it
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Names the section at ``location`` takes."""
    section: type[BaseModel] = Config
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        candidates = [annotation, *get_args(annotation)]
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return sorted(field.alias or name for name, field in section.model_fields.items())
