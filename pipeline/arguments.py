"""What the command line takes: commands, their options and defaults. No numbers of science; they are in config.yaml."""

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import __version__

SCHEDULER = "DASK_SCHEDULER_ADDRESS"
_YEARS = re.compile(r"^(\d{4})(?:-(\d{4}))?$")


def make_parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """Make the parser of the command line; each command's name leads to what carries it out."""
    parser = argparse.ArgumentParser(
        prog="stockline",
        description="Year-over-year change of coal stockpiles and occupied ground from Sentinel-2 imagery.",
    )
    parser.add_argument("--version", action="version", version=f"stockline {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        sub = subparsers.add_parser(name, help=text, description=text)
        sub.set_defaults(command=commands[name])
        return sub

    def common(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("sites", nargs="*", metavar="SITE", help="site ids; none means every site")
        sub.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
        sub.add_argument("--out", type=Path, help="results folder; default: the configuration's")
        sub.add_argument("--years", type=_years, metavar="2017-2025", help="years in place of the configuration's")

    run = add("run", "measure sites and write their results")
    common(run)
    _run(run)
    common(add("plan", "say what a run would read; reads no pixel"))
    common(add("report", "write reports again from finished results"))
    review = add("review", "take reviewers' decisions from the review file of a site into its ledger")
    review.add_argument("sites", nargs="+", metavar="SITE", help="site ids")
    review.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    review.add_argument("--out", type=Path, help="results folder; default: the configuration's")
    review.add_argument("--file", type=Path, metavar="GPKG", help="another copy of the site's review.gpkg")
    _verify(add("verify", "check every hash of finished results, and what vouches for them"))
    chain = add("trace", "follow a number or a sentence of the report to the pixels it rests on")
    chain.add_argument("folder", type=Path, metavar="DIR", help="folder of a site's result")
    chain.add_argument("id", metavar="ID", help="address of a row or a sentence, as after # in links of report.html")
    chain.add_argument("--all", action="store_true", help="leave nothing out")
    chain.add_argument("--json", action="store_true", help="everything, for programs")
    _compare(add("compare", "say which numbers moved between two runs, and what can have moved them"))
    _archive(add("export", "write finished results into one archive that others can open and check alone"))
    sites = add("sites", "check, list or show site files")
    sites.add_argument("action", nargs="?", choices=("check", "list", "show"), default="list")
    sites.add_argument("site", nargs="?", metavar="SITE")
    sites.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    simulate = add("simulate", "write a simulated archive with known truth")
    simulate.add_argument("folder", type=Path, metavar="DIR")
    simulate.add_argument("--seed", type=int, default=1, help="default 1")
    simulate.add_argument("--workers", type=int, default=1, help="threads; default 1")
    check = add("validate", "measure the accuracy of this program on implants of known outline")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.add_argument("--set", dest="seed_set", choices=("tuning", "reporting"), default="reporting")
    check.add_argument("--data", type=Path, help="folder of real archives (boadella, belgium, bolzano)")
    check.add_argument("--most", type=int, metavar="N", help="at most N worlds of a kind; default all")
    check.add_argument("--workers", type=int, default=1, help="threads; default 1")
    _schedule(add("schedule", "start batches by themselves: units of systemd, or a line of a crontab"))
    status = add("status", "say what ran, what is due, what is stale and what failed")
    common(status)
    status.add_argument("--json", action="store_true", help="for programs")
    return parser


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--workers", type=int, default=1, help="threads; default 1")
    run.add_argument("--scheduler", metavar="ADDRESS", help=f"cluster in place of threads; default: ${SCHEDULER}")
    run.add_argument("--credentials", type=Path, metavar="FILE", help="NAME=value lines for the environment, mode 600")
    run.add_argument("--force", action="store_true", help="also where results are up to date")


def _compare(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("before", metavar="RUN_A", help="a site's folder (its newest run), FOLDER@3, or all results")
    sub.add_argument("after", metavar="RUN_B", help="the same of the later run")
    sub.add_argument("--all", action="store_true", help="list every number, also of rings, controls, single piles")
    sub.add_argument("--json", action="store_true", help="one JSON document, with all digits")


def _schedule(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    sub.add_argument("--at", default="*-*-* 03:00", metavar="TIME", help="default: '*-*-* 03:00', every night")
    sub.add_argument("--workers", type=int, default=1, help="of each batch; default 1")
    sub.add_argument("--to", type=Path, metavar="DIR", help="write the units there and start nothing")
    sub.add_argument("--crontab", action="store_true", help="print a line of a crontab instead")
    sub.add_argument("--system", action="store_true", help="units of the whole machine, printed unless --to is given")
    sub.add_argument("--credentials", type=Path, metavar="FILE", help="NAME=value lines for the environment, mode 600")
    sub.add_argument("--remove", action="store_true", help="stop the timer and remove the units")


def _verify(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("folder", type=Path, metavar="DIR", help="of a site's result, or of all sites")
    sub.add_argument("--signers", type=Path, metavar="FILE", help="your own list of allowed_signers (SSH)")
    sub.add_argument("--tsa-ca", type=Path, metavar="FILE", help="certificates of time stamping you trust (PEM)")
    sub.add_argument("--json", action="store_true", help="everything, for programs")


def _archive(export: argparse.ArgumentParser) -> None:
    export.add_argument("sites", nargs="*", metavar="SITE", help="site ids; none means every site")
    export.add_argument("--config", type=Path, default=Path("config.yaml"), help="default: config.yaml")
    export.add_argument("--out", type=Path, help="results folder; default: the configuration's")
    export.add_argument("--to", type=Path, metavar="FILE.zip", help="the archive; default: named by site and manifest")
    export.add_argument("--redaction", type=Path, metavar="FILE", help="YAML file that says what to hide, and why")


def _years(text: str) -> tuple[int, int]:
    found = _YEARS.match(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a year or a span of years such as 2017-2025")
    return int(found[1]), int(found[2] or found[1])
