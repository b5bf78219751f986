"""The arrows of ARCHITECTURE.md, read from the syntax trees, and violations planted to see each rule bite."""

import ast
import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# --- the rules ---

NOUNS = {
    "errors": 0, "types": 1, "imagery": 2, "findings": 3, "told": 0, "series_records": 1,
    "pile_records": 1, "ground_records": 1, "review_records": 1, "records": 2, "presets": 0,
    "printable": 0, "documents": 1,
    "sections": 1, "clear_section": 2, "change_sections": 2, "retention_section": 2, "notify_section": 2,
    "custody_section": 2, "config": 3,
}  # fmt: skip
PURE = {
    "grid", "radiometry", "clear", "history", "terrain", "align", "scenes", "compare", "trend", "claims", "rules",
    "measure", "tables", "pile_tables", "pile_measures", "band_check", "drift", "breaks", "confounding", "controls",
    "tiff", "jp2", "kernels", "edges", "outlines", "overlays", "patches", "zones", "digest", "review",
    "pile_masks",
}  # fmt: skip
FILES = {
    "sources", "store", "evidence", "addresses", "ledger", "exchange", "remote", "ranges", "delivery", "pixels",
    "rasters", "decoded", "maps",
    "resample", "learned", "sites", "drawn", "settings", "parallel", "tasks", "threads", "progress", "readable",
    "decision_ledger", "places",
}  # fmt: skip
LAYERS: list[set[str]] = [
    set(NOUNS),
    PURE,
    FILES,
    {"products"},
    {"passes"},
    {"run", "plan", "workers", "stages", "memory", "reviewing", "schedule"},
    {"batches", "validation", "export"},
    {"cli", "arguments"},
]
"""Parts of pipeline/ from the ground up; a part may import its own layer and those below."""

PLAIN_STDLIB = {
    "__future__", "collections", "contextlib", "dataclasses", "datetime", "difflib", "enum", "functools", "hashlib",
    "importlib", "itertools", "json", "math", "pkgutil", "re", "statistics", "struct", "types", "typing",
    "unicodedata", "urllib", "zlib",
}  # fmt: skip
"""Standard modules that reach neither file nor network."""
ARITHMETIC = {"numpy", "scipy", "skimage", "shapely", "numba"}
PURE_THIRD_PARTY = ARITHMETIC | {"affine", "pyproj", "pydantic", "rasterio.features", "rasterio.transform", "yaml"}

MAY_OPEN = {
    "pipeline/sources", "pipeline/products", "pipeline/evidence.py", "pipeline/exchange.py", "pipeline/ledger.py",
    "pipeline/ranges.py", "pipeline/remote.py", "pipeline/decoded.py", "pipeline/addresses.py", "pipeline/rasters.py",
    "pipeline/maps.py",
    "pipeline/sites.py", "pipeline/settings.py", "pipeline/places.py", "pipeline/config.py", "pipeline/validation",
    "pipeline/memory.py", "pipeline/decision_ledger.py", "pipeline/schedule", "pipeline/export",
    "pipeline/batches/batch.py", "pipeline/batches/lock.py", "pipeline/batches/state.py", "pipeline/batches/past.py",
    "pipeline/batches/journal.py", "pipeline/batches/status.py", "pipeline/batches/working_copies.py",
    "pipeline/batches/closing.py",
}  # fmt: skip
"""Folders and modules that open what they like."""
MAY_ALSO = {
    "pipeline/run.py": {"mkdir", "rmtree"},  # the folder of intermediate maps
    "pipeline/stages.py": {"mkdir", "copyfile"},  # composites, for the products
    "pipeline/passes": {"load", "save", "savez"},  # intermediate maps of their own
    "pipeline/workers.py": {"mkdir", "rmdir", "write_text", "read_text", "unlink"},  # a file all workers must see
}
"""What others may call, and why."""
MAY_REACH_OUT = {"pipeline/sources", "pipeline/exchange.py", "pipeline/batches/notify.py"}
NETWORK = {
    "requests",
    "urllib3",
    "socket",
    "http",
    "ftplib",
    "pystac_client",
    "aiohttp",
    "sentinelhub",
    "smtplib",
    "ssl",
}
OPENING_CALLS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "unlink", "rename", "rmdir", "touch",
    "rmtree", "copyfile", "copytree", "move", "symlink_to", "hardlink_to", "iterdir", "glob", "rglob", "urlopen",
    "load", "save", "savez", "savez_compressed", "loadtxt", "savetxt", "fromfile", "tofile", "memmap",
    "MemoryFile", "TemporaryDirectory", "NamedTemporaryFile", "mkdtemp", "mkstemp", "read_file", "to_file",
}  # fmt: skip
LOADS_OF_OTHERS = {("sources", "load"), ("glob", "glob")}
"""``sources.load(kind)`` chooses a module; it opens nothing."""


@dataclass(frozen=True)
class Import:
    """One import of a module of the tree; ``outer`` when it runs on import of the module."""

    line: int
    name: str
    outer: bool


def modules(root: Path) -> dict[str, Path]:
    """Every module of both packages: dotted name to file."""
    found = {}
    for package in ("models", "pipeline"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.lru_cache(maxsize=500)
def _parsed(path: Path, written_ns: int) -> ast.Module:
    """Parse a module once; one that is written again is parsed again."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def tree_of(path: Path) -> ast.Module:
    return _parsed(path, path.stat().st_mtime_ns)


def imports_of(name: str, path: Path, known: dict[str, Path]) -> list[Import]:
    """Return imports of one module by full dotted name; of ``from a import b`` the module a.b where there is one."""
    outer_nodes = {id(n) for n in _outside_functions(tree_of(path))}
    found = []
    for node in ast.walk(tree_of(path)):
        outer = id(node) in outer_nodes
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name, outer) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[: -node.level] if path.name != "__init__.py" else name.split(".")
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(node.lineno, inner if inner in known or base == "rasterio" else base, outer))
    return found


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_functions(child)


def calls_of(path: Path) -> Iterator[tuple[int, str | None, str]]:
    """Give line, object and name of every call: ``np.load(x)`` is (line, "np", "load"), ``print(x)`` has no object."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, None, node.func.id
            elif isinstance(node.func, ast.Attribute):
                holder = node.func.value
                yield node.lineno, holder.id if isinstance(holder, ast.Name) else "", node.func.attr


def part_of(name: str) -> str:
    """Return the part of pipeline a module belongs to: ``pipeline.sources.stac`` is of ``sources``."""
    return name.split(".")[1] if "." in name else ""


def layer_of(part: str) -> int | None:
    return next((n for n, parts in enumerate(LAYERS) if part in parts), None)


def allowed_under(path: str, allowed: set[str]) -> bool:
    return any(path == entry or path.startswith(f"{entry}/") for entry in allowed)


Rule = Callable[[Path], list[str]]


def every_part_has_a_layer(root: Path) -> list[str]:
    parts = {part_of(name) for name in modules(root) if name.startswith("pipeline.")}
    return [
        f"pipeline/{part} has no layer in tests/test_architecture.py"
        for part in sorted(parts)
        if layer_of(part) is None
    ]


def arrows_point_down(root: Path) -> list[str]:
    known, bad = modules(root), []
    for name, path in known.items():
        for found in imports_of(name, path, known):
            target = found.name
            if name.startswith("models") and target.startswith("pipeline"):
                bad.append(f"{name}:{found.line} imports {target}: models know no pipeline")
            if not (name.startswith("pipeline.") and target.startswith("pipeline.")):
                continue
            here, there = part_of(name), part_of(target)
            own, other = layer_of(here), layer_of(there)
            if own is None or other is None:
                continue  # named by the rule above
            if other > own:
                bad.append(f"{name}:{found.line} imports {target}, which lies above it")
            if here in NOUNS and there in NOUNS and here != there and NOUNS[there] >= NOUNS[here]:
                bad.append(f"{name}:{found.line} imports {target}, which lies above it")
    return bad


def models_are_arrays_in_arrays_out(root: Path) -> list[str]:
    known, bad = modules(root), []
    for name, path in known.items():
        if name.split(".")[0] == "models":
            for found in imports_of(name, path, known):
                top = found.name.split(".")[0]
                if top not in ARITHMETIC | PLAIN_STDLIB | {"models"}:
                    bad.append(f"{name}:{found.line} imports {found.name}")
    return bad


def pure_stages_import_arithmetic_only(root: Path) -> list[str]:
    known, bad = modules(root), []
    for name, path in known.items():
        part = part_of(name)
        if not name.startswith("pipeline.") or part not in PURE | set(NOUNS) - {"config"}:
            continue
        for found in imports_of(name, path, known):
            top = found.name.split(".")[0]
            plain = top in PLAIN_STDLIB | {"models", "pipeline"}
            if not plain and not allowed_under(
                found.name.replace(".", "/"), {m.replace(".", "/") for m in PURE_THIRD_PARTY}
            ):
                bad.append(f"{name}:{found.line} imports {found.name}")
    return bad


def only_parallel_imports_dask(root: Path) -> list[str]:
    known = modules(root)
    return [
        f"{name}:{found.line} imports {found.name}"
        for name, path in known.items()
        for found in imports_of(name, path, known)
        if found.name.split(".")[0] in {"dask", "distributed"} and name != "pipeline.parallel"
    ]


def only_the_edge_opens_files(root: Path) -> list[str]:
    bad = []
    for path in modules(root).values():
        where = path.relative_to(root).as_posix()
        if allowed_under(where, MAY_OPEN):
            continue
        extra = next((calls for entry, calls in MAY_ALSO.items() if allowed_under(where, {entry})), set())
        for line, holder, call in calls_of(path):
            if call in OPENING_CALLS - extra and (holder, call) not in LOADS_OF_OTHERS:
                bad.append(f"{where}:{line} calls {call}()")
    return bad


def only_the_edge_reaches_the_network(root: Path) -> list[str]:
    known = modules(root)
    return [
        f"{name}:{found.line} imports {found.name}"
        for name, path in known.items()
        if not allowed_under(path.relative_to(root).as_posix(), MAY_REACH_OUT)
        for found in imports_of(name, path, known)
        if found.name.split(".")[0] in NETWORK
    ]


def only_the_command_line_prints(root: Path) -> list[str]:
    bad = []
    for path in modules(root).values():
        if path.name == "cli.py":
            continue
        where = path.relative_to(root)
        bad += [
            f"{where}:{n} calls {call}()"
            for n, holder, call in calls_of(path)
            if not holder and call in {"print", "input"}
        ]
        bad += [
            f"{where}:{node.lineno} uses sys.{node.attr}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Attribute)
            and node.attr in {"stdout", "stderr"}
            and getattr(node.value, "id", "") == "sys"
        ]
    return bad


def nothing_imports_itself(root: Path) -> list[str]:
    """Circles of imports that run when a module is loaded."""
    known = modules(root)
    graph = {
        name: {i.name for i in imports_of(name, path, known) if i.outer and i.name in known and i.name != name}
        for name, path in known.items()
    }
    circles: list[str] = []
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circles.append(" -> ".join([*above[above.index(name) :], name]))
            return
        if name in done:
            return
        for target in sorted(graph[name]):
            # A package that is loading may be asked for its modules: those run first.
            if not name.startswith(f"{target}."):
                walk(target, (*above, name))
        done.add(name)

    for name in graph:
        walk(name, ())
    return circles


def the_page_lists_every_module(root: Path) -> list[str]:
    page = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `((?:models|pipeline)/[\w/]+\.py)` \|", page, flags=re.MULTILINE))
    there = {path.relative_to(root).as_posix() for path in modules(root).values()}
    return [
        *(f"{path} is missing from ARCHITECTURE.md" for path in sorted(there - listed)),
        *(f"{path} is in ARCHITECTURE.md, not in the tree" for path in sorted(listed - there)),
    ]


def modules_and_functions_are_short(root: Path) -> list[str]:
    bad = []
    for path in modules(root).values():
        where, text = path.relative_to(root), path.read_text(encoding="utf-8")
        if text.count("\n") > 300:
            bad.append(f"{where} has {text.count(chr(10))} lines")
        if ast.get_docstring(tree_of(path)) is None:
            bad.append(f"{where} has no docstring")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and (body[-1].end_lineno or 0) - body[0].lineno >= 60:
                    bad.append(f"{where}:{node.lineno} {node.name} is longer than 60 lines")
                if node.returns is None:
                    bad.append(f"{where}:{node.lineno} {node.name} does not say what it returns")
    return bad


def no_assert_and_no_broad_except(root: Path) -> list[str]:
    bad = []
    for path in modules(root).values():
        where = path.relative_to(root).as_posix()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Assert):
                bad.append(f"{where}:{node.lineno} asserts")
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
            )
            if broad and where != "pipeline/batches/batch.py" and not _raises_again(node):
                bad.append(f"{where}:{node.lineno} catches everything")
    return bad


def _raises_again(handler: ast.AST) -> bool:
    """Whether a handler only cleans up: its last statement is a bare raise."""
    last = handler.body[-1]  # type: ignore[attr-defined]
    return isinstance(last, ast.Raise) and last.exc is None


def notebooks_shadow_nothing(root: Path) -> list[str]:
    names = ("models.py", "pipeline.py", "models", "pipeline")
    return [f"notebooks/{name}" for name in names if (root / "notebooks" / name).exists()]


RULES: list[Rule] = [
    every_part_has_a_layer,
    arrows_point_down,
    models_are_arrays_in_arrays_out,
    pure_stages_import_arithmetic_only,
    only_parallel_imports_dask,
    only_the_edge_opens_files,
    only_the_edge_reaches_the_network,
    only_the_command_line_prints,
    nothing_imports_itself,
    the_page_lists_every_module,
    modules_and_functions_are_short,
    no_assert_and_no_broad_except,
    notebooks_shadow_nothing,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule):
    assert rule(ROOT) == []


# --- planted violations ---


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for package in ("models", "pipeline"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ARCHITECTURE.md", root)
    (root / "notebooks").mkdir()
    return root


PLANTED: list[tuple[Rule, str, str]] = [
    (every_part_has_a_layer, "pipeline/utils.py", '"""New."""\n'),
    (arrows_point_down, "pipeline/errors.py", "from pipeline.types import Site\n"),
    (arrows_point_down, "pipeline/types.py", "from pipeline.imagery import Item\n"),
    (arrows_point_down, "pipeline/compare.py", "def f() -> None:\n    from pipeline import store\n"),
    (arrows_point_down, "pipeline/store.py", "import pipeline.passes.block\n"),
    (arrows_point_down, "pipeline/sources/stac.py", "from pipeline.products import cog\n"),
    (arrows_point_down, "pipeline/products/cog.py", "from ..run import run_site\n"),
    (arrows_point_down, "models/stockpile.py", "from pipeline.types import Grid\n"),
    (models_are_arrays_in_arrays_out, "models/footprint.py", "import rasterio\n"),
    (models_are_arrays_in_arrays_out, "models/footprint.py", "import os\n"),
    (models_are_arrays_in_arrays_out, "models/_indices.py", "from pathlib import Path\n"),
    (pure_stages_import_arithmetic_only, "pipeline/clear.py", "import rasterio\n"),
    (pure_stages_import_arithmetic_only, "pipeline/grid.py", "from rasterio import open as op\n"),
    (pure_stages_import_arithmetic_only, "pipeline/compare.py", "from pathlib import Path\n"),
    (only_parallel_imports_dask, "pipeline/run.py", "import dask.array\n"),
    (only_parallel_imports_dask, "pipeline/run.py", "def f() -> None:\n    from distributed import Client\n"),
    (only_parallel_imports_dask, "models/stockpile.py", "import dask\n"),
    (only_the_edge_opens_files, "pipeline/align.py", "open('x')\n"),
    (only_the_edge_opens_files, "pipeline/measure.py", "import numpy\nnumpy.load('x.npy')\n"),
    (only_the_edge_opens_files, "pipeline/passes/scene.py", "from pathlib import Path\nPath('x').write_text('')\n"),
    (only_the_edge_opens_files, "pipeline/run.py", "import rasterio\nrasterio.open('x.tif')\n"),
    (only_the_edge_opens_files, "models/volume.py", "import numpy as np\nnp.savez('x.npz')\n"),
    (only_the_edge_reaches_the_network, "pipeline/sites.py", "import requests\n"),
    (only_the_edge_reaches_the_network, "pipeline/products/report.py", "import http.client\n"),
    (only_the_command_line_prints, "pipeline/batches/batch.py", "print('done')\n"),
    (only_the_command_line_prints, "models/volume.py", "import sys\nsys.stdout.write('x')\n"),
    (nothing_imports_itself, "pipeline/grid.py", "from pipeline.scenes import select_scenes\n"),
    (the_page_lists_every_module, "pipeline/products/extra.py", '"""New."""\n'),
    (modules_and_functions_are_short, "pipeline/plan.py", "\n" * 301),
    (modules_and_functions_are_short, "pipeline/plan.py", "def f() -> int:\n" + "    x = 1\n" * 60 + "    return x\n"),
    (modules_and_functions_are_short, "pipeline/plan.py", "def f():\n    return 1\n"),
    (no_assert_and_no_broad_except, "pipeline/plan.py", "assert True\n"),
    (no_assert_and_no_broad_except, "pipeline/store.py", "try:\n    pass\nexcept Exception:\n    pass\n"),
    (no_assert_and_no_broad_except, "pipeline/store.py", "try:\n    pass\nexcept:\n    pass\n"),
    (notebooks_shadow_nothing, "notebooks/models.py", ""),
    (notebooks_shadow_nothing, "notebooks/pipeline.py", ""),
]


@pytest.mark.parametrize(("rule", "where", "code"), PLANTED, ids=lambda value: getattr(value, "__name__", None) or "")
def test_a_planted_violation_is_caught(copied, rule, where, code):
    path = copied / where
    before = path.read_text(encoding="utf-8") if path.exists() else None
    known = rule(copied)
    try:
        path.write_text((before or "") + "\n" + code, encoding="utf-8")
        caught = [message for message in rule(copied) if message not in known]
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
    assert caught
    assert any(Path(where).stem in message or where in message for message in caught)


def test_a_module_that_is_gone_but_listed_is_caught(copied):
    page = copied / "ARCHITECTURE.md"
    before = page.read_text(encoding="utf-8")
    page.write_text(before + "\n| `pipeline/gone.py` | nothing |\n", encoding="utf-8")
    try:
        assert "pipeline/gone.py is in ARCHITECTURE.md, not in the tree" in the_page_lists_every_module(copied)
    finally:
        page.write_text(before, encoding="utf-8")


# --- what an import loads ---


def test_pure_stages_load_neither_dask_nor_network_nor_gdal_readers():
    """The arrows in one experiment: what a pure stage drags in when it is imported alone."""
    code = (
        "import sys; import pipeline.compare, pipeline.claims, pipeline.clear, pipeline.align, pipeline.radiometry,"
        "pipeline.trend, models.stockpile, models.footprint, models.volume; "
        "print(sorted({'dask', 'distributed', 'requests', 'pystac_client', 'pyogrio', 'geopandas', 'matplotlib'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
