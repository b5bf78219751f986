"""A reviewer at QGIS, run by its own Python: opens a review file, edits it, waits for a run to write, saves."""

import json
import subprocess
import sys

from qgis.core import QgsApplication, QgsVectorLayer, QgsVectorLayerUtils
from qgis.PyQt.QtCore import QDate

_SIGNED = {"analyst": "A. Kim", "reviewed_on": QDate(2024, 3, 1), "imagery": "composites"}


def put(layer, fid, **values):
    for name, value in values.items():
        assert layer.changeAttributeValue(fid, layer.fields().indexOf(name), value), name


def main(path, commands):
    layer = QgsVectorLayer(f"{path}|layername=review", "review", "ogr")
    assert layer.isValid()
    rows = {f["object_id"]: f for f in layer.getFeatures()}
    names = sorted(name for name, row in rows.items() if row["object"] == "pile")
    told = {
        "aliases": [layer.attributeAlias(i) for i in range(1, layer.fields().count())],
        "widgets": {f.name(): layer.editorWidgetSetup(i).type() for i, f in enumerate(layer.fields())},
        "read_only": [f.name() for i, f in enumerate(layer.fields()) if layer.editFormConfig().readOnly(i)],
        "renderer": layer.renderer().type(),
        "constraints": sum(bool(layer.constraintExpression(i)) for i in range(layer.fields().count())),
    }
    assert layer.startEditing()
    put(layer, rows[names[0]].id(), decision="reject", reason="dark roof", **_SIGNED)
    said = [subprocess.run(commands, capture_output=True, text=True, check=False).stdout]  # edits are not saved yet
    put(layer, rows[names[1]].id(), decision="accept", **_SIGNED)
    outline = rows[names[0]].geometry()
    outline.translate(0, 450)
    drawn = QgsVectorLayerUtils.createFeature(layer, outline)
    told["defaults"] = [str(drawn["object_id"])[:4], drawn["decision"], drawn["reviewed_on"] == QDate.currentDate()]
    source = {"source": "aerial", "source_date": QDate(2019, 6, 1), "uncertainty_m": 2.0}
    for name, value in {"object": "own_yard", "analyst": "A. Kim", **source}.items():
        drawn[name] = value
    assert layer.addFeature(drawn)
    attributes = dict(enumerate(rows[names[1]].attributes()))
    pasted = QgsVectorLayerUtils.createFeature(
        layer, rows[names[1]].geometry(), {i: v for i, v in attributes.items() if i}
    )
    told["pasted"] = [pasted["object_id"] == names[1], bool(pasted["decision"])]
    for name, value in {**_SIGNED, "analyst": "B. Lee", "decision": "reject", "reason": "no"}.items():
        pasted[name] = value
    assert layer.addFeature(pasted)
    told["saved"] = [layer.commitChanges(), layer.commitErrors() if layer.isEditable() else []]
    said.append(subprocess.run(commands, capture_output=True, text=True, check=False).stdout)  # saved, still open
    assert layer.startEditing()
    put(layer, rows[names[1]].id(), reason="looked twice")
    told["saved again"] = layer.commitChanges()
    told["said"] = said
    told["features"] = QgsVectorLayer(f"{path}|layername=review", "again", "ogr").featureCount()
    sys.stdout.write(json.dumps(told) + "\n")


application = QgsApplication([], False)
application.initQgis()
main(sys.argv[1], sys.argv[2:])
