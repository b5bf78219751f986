"""What results are held against in a digest: what was told last, and what stands in for it where that is not known."""

import pytest

from pipeline.batches.basis import Basis, basis_of
from pipeline.errors import ProductError
from pipeline.products import _documents

BEFORE, SINCE, AFTER = "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:09Z"
TOLD = "1" * 64


def record(folder, number, manifest, started):
    run = _documents.Run(
        number=number, started=started, finished="", seconds=0.0, workers=1, log=(), libraries={}, archive_root=None,
        evidence_root="", manifest_sha256=manifest, previous_run_sha256=None,
    )  # fmt: skip
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / f"{number:04d}.json").write_text(_documents.json_text(run))


@pytest.mark.parametrize(
    ("runs", "told", "basis"),
    [
        # By one batch that this database knows, or by several of which none told.
        ([AFTER], None, Basis(None, first=True)),
        ([SINCE, AFTER], None, Basis(None, first=True)),
        # Runs before the first batch it knows: the database before is lost.
        ([BEFORE], None, Basis(None, known=False)),
        ([BEFORE, AFTER], None, Basis(1, known=False)),
        ([BEFORE, BEFORE, BEFORE], None, Basis(2, known=False)),
        # What was told last, the run of it newest or not.
        ([BEFORE, AFTER], 1, Basis(1)),
        ([BEFORE, AFTER, AFTER], 2, Basis(2)),
        # It was told of a folder that is gone.
        ([AFTER], 0, Basis(None, known=False)),
        ([AFTER, AFTER], 0, Basis(1, known=False)),
    ],
)
def test_what_results_are_held_against(runs, told, basis, tmp_path):
    for number, started in enumerate(runs, 1):
        record(tmp_path, number, TOLD if number == told else f"{number + 1}" * 64, started)
    assert basis_of(tmp_path, None if told is None else TOLD, SINCE) == basis


def test_no_record_or_a_broken_one_is_told(tmp_path):
    with pytest.raises(ProductError, match="no record of a run"):
        basis_of(tmp_path, None, SINCE)
    record(tmp_path, 1, TOLD, BEFORE)
    (tmp_path / "runs" / "0001.json").write_text("{")
    with pytest.raises(ProductError, match=r"0001\.json"):
        basis_of(tmp_path, TOLD, SINCE)
