"""Opens products in a real QGIS and says as JSON what it made of them; run by the Python QGIS was built for.

``qgis_look.py layers FILE``, ``project FILE``, ``reached FILE``, ``render FILE YEAR WIDTH PNG LABELS``,
``print FILE OUT``, ``raster FILE``.
"""

import json
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsAttributeEditorElement,
    QgsDateTimeRange,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsLayoutExporter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QSize, Qt, QTime


def elements(container):
    """All elements of a form, from the top down."""
    for child in container.children():
        yield child
        if child.type() == QgsAttributeEditorElement.AeTypeContainer:
            yield from elements(child)


def form_of(layer):
    config = layer.editFormConfig()
    found = list(elements(config.invisibleRootContainer()))
    kinds = QgsAttributeEditorElement
    relations = [e for e in found if e.type() == kinds.AeTypeRelation]
    return {
        "tabs": [e.name() for e in config.tabs()],
        "fields": [e.name() for e in found if e.type() == kinds.AeTypeField],
        "relations": {e.name(): e.relation().isValid() for e in relations},
        "read_only": all(
            config.readOnly(i) for i in range(layer.fields().count()) if layer.fields().fieldOrigin(i) == 1
        ),
    }


def labels_of(layer):
    if layer.labeling() is None or not layer.labelsEnabled():
        return []
    if layer.labeling().type() != "rule-based":
        settings = layer.labeling().settings()
        return [[settings.maximumScale, settings.minimumScale, settings.fieldName]]
    rules = layer.labeling().rootRule().children()
    return [[r.maximumScale(), r.minimumScale(), r.settings().fieldName] for r in rules]


def symbols_of(layer):
    renderer = layer.renderer()
    if renderer is None or renderer.type() != "categorizedSymbol":
        return {}
    return {c.value(): [c.label(), len(c.symbol().symbolLayers())] for c in renderer.categories()}


def vector(layer):
    fields = layer.fields()
    first = next(layer.getFeatures(), None)
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    if first is not None:
        context.setFeature(first)
    tip = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
    texts = [rule[2] for rule in labels_of(layer)] + [layer.displayExpression()]
    evaluated = []
    for text in texts:
        expression = QgsExpression(text)
        expression.prepare(context)
        value = expression.evaluate(context)
        wrong = expression.parserErrorString() or expression.evalErrorString()
        evaluated.append(f"WRONG {wrong}" if wrong else str(value))
    temporal = layer.temporalProperties()
    table = layer.attributeTableConfig()
    return {
        "valid": layer.isValid(),
        "rows": layer.featureCount(),
        "read_only": layer.readOnly(),
        "renderer": layer.renderer().type() if layer.renderer() else None,
        "symbols": symbols_of(layer),
        "labels": labels_of(layer),
        "evaluated": evaluated,
        "aliases": {field.name(): field.alias() for field in fields},
        "widgets": {field.name(): layer.editorWidgetSetup(i).type() for i, field in enumerate(fields)},
        "columns": [column.name for column in table.columns() if not column.hidden and column.name],
        "sort": table.sortExpression(),
        "sort_wrong": QgsExpression(table.sortExpression()).parserErrorString(),
        "tip": tip,
        "says": None if first is None or fields.indexOf("in_words") < 0 else first["in_words"],
        "form": form_of(layer),
        "temporal": [temporal.isActive(), temporal.startExpression(), temporal.endExpression()],
    }


def raster(layer):
    temporal, renderer = layer.temporalProperties(), layer.renderer()
    limits = [
        renderer.redContrastEnhancement(),
        renderer.greenContrastEnhancement(),
        renderer.blueContrastEnhancement(),
    ]
    period = temporal.fixedTemporalRange()
    return {
        "valid": layer.isValid(),
        "renderer": renderer.type(),
        "bands": [layer.bandName(b) for b in renderer.usesBands()],
        "limits": [[limit.minimumValue(), limit.maximumValue()] for limit in limits],
        "gamma": layer.brightnessFilter().gamma(),
        "temporal": [temporal.isActive(), period.begin().toString(Qt.ISODate), period.end().toString(Qt.ISODate)],
    }


def layers(path):
    """Every layer as it comes when a reader adds it on its own."""
    whole = QgsVectorLayer(path, "all", "ogr")
    listed = whole.dataProvider().subLayers()
    names = [text.split("!!::!!")[1] for text in listed]
    return {name: vector(QgsVectorLayer(f"{path}|layername={name}", name, "ogr")) for name in names}


def opened(path):
    project = QgsProject.instance()
    if not project.read(f"geopackage:{path}?projectName=stockline"):
        raise SystemExit(project.error())
    return project


def ranged(year):
    begin, end = QDate(year, 1, 1), QDate(year, 12, 31)
    return QgsDateTimeRange(QDateTime(begin, QTime(0, 0), Qt.UTC), QDateTime(end, QTime(23, 59, 59), Qt.UTC))


def tree_of(group):
    return {
        child.name(): [[leaf.name(), leaf.itemVisibilityChecked()] for leaf in child.findLayers()]
        for child in group.findGroups()
    }


def project(path):
    read = opened(path)
    times = read.timeSettings()
    found = {layer.id(): layer for layer in read.mapLayers().values()}
    extent = read.viewSettings().defaultViewExtent()
    return {
        "title": read.title(),
        "crs": read.crs().authid(),
        "tree": tree_of(read.layerTreeRoot()),
        "vectors": {i: vector(layer) for i, layer in found.items() if isinstance(layer, QgsVectorLayer)},
        "rasters": {i: raster(layer) for i, layer in found.items() if isinstance(layer, QgsRasterLayer)},
        "invalid": sorted(layer.source() for layer in found.values() if not layer.isValid()),
        "relations": {r.id(): r.isValid() for r in read.relationManager().relations().values()},
        "range": [times.temporalRange().begin().toString(Qt.ISODate), times.temporalRange().end().toString(Qt.ISODate)],
        "step": [times.timeStep(), int(times.timeStepUnit())],
        "navigation": read.readNumEntry("TemporalControllerWidget", "/NavigationMode")[0],
        "layouts": [layout.name() for layout in read.layoutManager().printLayouts()],
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
    }


def reached(path):
    """What the lists in the forms hold: for every relation the most rows a row of its parent leads to."""
    read = opened(path)
    most = {}
    for relation in read.relationManager().relations().values():
        parent = relation.referencedLayer()
        counts = [sum(1 for _ in relation.getRelatedFeatures(feature)) for feature in parent.getFeatures()] or [0]
        most[relation.id()] = [parent.featureCount(), sum(count > 0 for count in counts), max(counts)]
    return most


def render(path, year, width, png, labels):
    read = opened(path)
    layout = read.layoutManager().printLayouts()[0]
    extent = layout.referenceMap().extent()
    settings = QgsMapSettings()
    settings.setLayers(read.layerTreeRoot().checkedLayers())
    settings.setExtent(extent)
    settings.setDestinationCrs(read.crs())
    settings.setOutputSize(QSize(int(width), int(int(width) * extent.height() / extent.width())))
    settings.setTemporalRange(ranged(int(year)))
    settings.setIsTemporal(True)
    settings.setFlag(QgsMapSettings.Antialiasing, True)
    settings.setFlag(QgsMapSettings.DrawLabeling, bool(int(labels)))
    settings.setBackgroundColor(Qt.white)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(png)
    return {"scale": settings.scale(), "wrong": [e.message for e in job.errors()]}


def printed(path, out):
    layout = opened(path).layoutManager().printLayouts()[0]
    exporter = QgsLayoutExporter(layout)
    if Path(out).suffix == ".pdf":
        status = exporter.exportToPdf(out, QgsLayoutExporter.PdfExportSettings())
    else:
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = 110
        status = exporter.exportToImage(out, settings)
    return {
        "status": int(status),
        "items": sorted(item.displayName() for item in layout.items() if hasattr(item, "displayName")),
    }


def alone(path):
    return raster(QgsRasterLayer(path, "alone"))


COMMANDS = {
    "layers": layers, "project": project, "reached": reached, "render": render, "print": printed, "raster": alone,
}  # fmt: skip

if __name__ == "__main__":
    application = QgsApplication([], False)
    application.initQgis()
    answer = COMMANDS[sys.argv[1]](*sys.argv[2:])
    QgsProject.instance().clear()
    sys.stdout.write("\n" + json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()
    application.exitQgis()
