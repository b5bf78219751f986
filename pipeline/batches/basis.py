"""What the newest results of a site are held against in a digest: the run told last, or what comes nearest to it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.products._documents import RUNS, Run, read_document
from pipeline.products.runs import number_of, run_records


@dataclass(frozen=True)
class Basis:
    """What results are held against.

    Attributes
    ----------
    run : int or None
        The run to compare with; None where there is none.
    first : bool
        These are first results: no digest can have told of any before.
    known : bool
        The run is the one whose verdicts were told last, or these are first results.
    """

    run: int | None
    first: bool = False
    known: bool = True


def basis_of(folder: Path, told: str | None, since: str | None) -> Basis:
    """Say what the newest run of a site is held against.

    Parameters
    ----------
    folder : Path
        Of the site.
    told : str or None
        Hash of the manifest whose verdicts the last digest told; None where the database of batches knows of none.
    since : str or None
        When the first batch that database knows began, UTC: it cannot say what was told of runs before.

    Raises
    ------
    ProductError
        There is no record of a run, or one cannot be read.
    """
    records = run_records(folder)
    if not records:
        raise ProductError(f"{folder / RUNS}: holds no record of a run")
    oldest = read_document(records[0], Run)
    if told is None and since is not None and oldest.started >= since:
        return Basis(None, first=True)
    for path in reversed(records) if told is not None else ():
        if read_document(path, Run).manifest_sha256 == told:
            return Basis(number_of(path))
    return Basis(number_of(records[-2]) if len(records) > 1 else None, known=False)
