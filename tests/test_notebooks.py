"""Every notebook runs from top to bottom on real output, and defines no logic of its own."""

import ast
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MOST_S = 120
"""No notebook may take longer."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_defines_nothing(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            nodes = ast.walk(ast.parse(cell.source))
            assert not [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Lambda))]
            assert not cell.outputs, "committed without outputs: they would be somebody's results"
            assert cell.execution_count is None


@pytest.fixture(scope="module")
def run(demo, tmp_path_factory):
    """Run a notebook on the demo; what it printed, how many pictures it drew, and how long it took."""
    done = {}

    def once(path):
        if path not in done:
            notebook = nbformat.read(path, as_version=4)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("STOCKLINE_RESULTS", str(demo / "results" / "sim-camp"))
                patch.setenv("STOCKLINE_CONFIG", str(demo / "config.yaml"))
                patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("notebook")))
                began = time.monotonic()
                NotebookClient(notebook, timeout=MOST_S, kernel_name="python3").execute()
                took_s = time.monotonic() - began
            outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
            said = "".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)
            kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
            done[path] = said, kinds, took_s
        return done[path]

    return once


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore:Proactor event loop", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_notebook_runs_in_time_and_leaves_the_results_alone(path, run, demo):
    before = sorted(p.relative_to(demo) for p in demo.rglob("*"))
    said, kinds, took_s = run(path)
    assert "SIMULATED" in said
    assert "Warning" not in said
    assert len(kinds) >= 3
    assert took_s < MOST_S
    assert sorted(p.relative_to(demo) for p in demo.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Proactor event loop", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_one_pile_comes_to_the_numbers_of_the_run_and_close_to_the_truth(run):
    said, *_ = run(next(path for path in NOTEBOOKS if path.stem == "one_pile"))
    assert "largest difference from the finished GeoPackage: 0.000000 m2" in said
    held = said[said.index("inside_interval") :]
    assert held.count("True") == 6
    assert "False" not in held
