<qgis/>
