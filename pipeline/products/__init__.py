"""The files a run hands over: GeoPackage, composites, report and manifest; nothing else writes into a site folder."""
