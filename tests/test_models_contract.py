"""What every model of the folder owes; each is found by itself."""

import ast
import dataclasses
from pathlib import Path

import pytest

import models
from models import Model

FOLDER = Path(models.__file__).parent
BANDS = {"blue", "green", "red", "nir", "nir08", "swir16", "swir22"}
FILES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def test_the_folder_is_the_registry():
    assert list(models.available()) == FILES
    assert {"stockpile", "footprint", "volume"} <= set(FILES)


def test_a_new_file_is_a_new_model(tmp_path, monkeypatch):
    (tmp_path / "spoil.py").write_text("from models import Model\nMODEL = Model('spoil', '3', 'tips', ('red',))\n")
    (tmp_path / "_helper.py").write_text("")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    assert set(models.available()) == {*FILES, "spoil"}
    assert models.load("spoil").MODEL.method == "spoil 3"


@pytest.mark.parametrize("name", ["_indices", "nothing", "", "os", "stockpile.MODEL"])
def test_an_unknown_name_is_refused_with_those_there_are(name):
    with pytest.raises(KeyError, match="footprint, stockpile, volume"):
        models.load(name)


@pytest.mark.parametrize("name", FILES)
def test_a_model_says_what_it_is(name):
    model = models.load(name).MODEL
    assert isinstance(model, Model)
    assert model.name == name
    assert model.version
    assert model.method == f"{name} {model.version}"
    assert model.measures.strip() == model.measures != ""
    assert "\n" not in model.measures
    assert set(model.bands) <= BANDS
    assert len(set(model.bands)) == len(model.bands)
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.name = "other"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_a_model_knows_arrays_only(path):
    allowed = {"numpy", "scipy", "skimage", "shapely", "numba", "models", "collections", "dataclasses", "typing"}
    allowed |= {"importlib", "pkgutil", "types"} if path.stem == "__init__" else set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= allowed
