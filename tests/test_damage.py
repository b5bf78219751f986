"""One byte changed in a file of a result, the file removed, or another put beside it: named each time, by its path."""

import random
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import call, hashes

from pipeline.products._documents import DATABASE_SIDES, HIDDEN, LOGS, REVIEW, WORKING
from pipeline.products.custody.verify import examine

pytestmark = pytest.mark.slow

SEED = 20361122
KINDS = ("changed", "removed", "added")


def is_vouched(path, out):
    """Whether a file is of the result, and no working record, lock or file of a reviewer."""
    parts = path.relative_to(out).parts
    sides = {name + side for name in (*WORKING, REVIEW) for side in ("", *DATABASE_SIDES)}
    return not set(HIDDEN) & set(parts) and path.name not in sides and parts[0] != LOGS


def damaged(path, kind, chance):
    """Do it; return the path that must be named and how to undo it."""
    if kind == "added":
        beside = path.with_name(chance.choice((f"{path.stem}-2{path.suffix}", f"{path.name}.bak", "notes.txt")))
        beside.write_bytes(chance.randbytes(9))
        return beside, beside.unlink
    content = path.read_bytes()
    if kind == "removed":
        path.unlink()
    else:
        at = chance.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :])
    return path, lambda: path.write_bytes(content)


def count_named(out, kind, times, seed):
    """How many of as many damages, one at a time, were named by their path; those that were not, and false names."""
    chance = random.Random(seed)  # noqa: S311 - the same files each time
    files = sorted(path for path in out.rglob("*") if path.is_file() and is_vouched(path, out))
    chosen = chance.sample(files, times) if times <= len(files) else chance.choices(files, k=times)
    unnamed, others = [], []
    for path in chosen:
        hurt, undo = damaged(path, kind, chance)
        name = hurt.relative_to(out).as_posix()
        try:
            named = [problem.path for problem in examine(out).problems]
        finally:
            undo()
        unnamed += [] if name in named else [name]
        others += [(name, other) for other in named if other != name]
    return unnamed, others


@pytest.fixture(scope="module")
def out(port, tmp_path_factory):
    """Two runs of the port with copied evidence, the second with other settings."""
    base = tmp_path_factory.mktemp("damage")
    archive = Path(shutil.copytree(port, base / "archive", ignore=shutil.ignore_patterns("results")))
    document = yaml.safe_load((archive / "config.yaml").read_text())
    document["source"]["evidence"] = "copy"
    for settings in ({}, {"stats": {"fdr_q": 0.05}}):
        (archive / "config.yaml").write_text(yaml.safe_dump(document | settings))
        done = call("run", "--config", archive / "config.yaml", "--out", base / "out")
        assert done.returncode == 0, done.stderr
    return base / "out"


@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_is_named_by_its_path(out, kind, record_property):
    before = hashes(out)
    assert examine(out).problems == ()
    record_property("seed", SEED)
    unnamed, others = count_named(out, kind, 25, SEED)
    assert not unnamed, f"seed {SEED}"
    # A manifest that is lacking makes what gathers the sites doubtful; nothing else is named with a file.
    assert {other for name, other in others if not name.endswith("manifest.json")} <= {"portfolio.json"}
    assert hashes(out) == before
