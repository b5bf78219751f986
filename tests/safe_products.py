"""Small Sentinel-2 products in ESA's SAFE format: what ``MTD_MSIL2A.xml`` and ``MTD_TL.xml`` need, and JPEG 2000."""

import hashlib
from dataclasses import dataclass

import rasterio
import shapely

PRODUCT_XML = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{start}</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI2A</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <GENERATION_TIME>2023-01-01T00:00:00.000000Z</GENERATION_TIME>
      <Datatake datatakeIdentifier="GS2A_20200501T020000_025000_N{baseline}">
        <SPACECRAFT_NAME>{platform}</SPACECRAFT_NAME>
        <SENSING_ORBIT_NUMBER>{orbit}</SENSING_ORBIT_NUMBER>
      </Datatake>
      <Product_Organisation><Granule_List><Granule imageFormat="JPEG2000">
        {images}
      </Granule></Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Geometric_Info><Product_Footprint><Product_Footprint><Global_Footprint>
    <EXT_POS_LIST>{corners} </EXT_POS_LIST>
  </Global_Footprint></Product_Footprint></Product_Footprint></n1:Geometric_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>{cloud}</Cloud_Coverage_Assessment>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"""
TILE_XML = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:General_Info>
    <SENSING_TIME metadataLevel="Standard">{sensed}</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
    <HORIZONTAL_CS_CODE>EPSG:{epsg}</HORIZONTAL_CS_CODE>
  </Tile_Geocoding></n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""


MANIFEST_XML = """<?xml version="1.0" encoding="UTF-8"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1" version="esa/safe/sentinel/1.1/sentinel-2/msi/archive_l2a_user_product">
  <dataObjectSection>{objects}</dataObjectSection>
</xfdu:XFDU>
"""
OBJECT_XML = """<dataObject ID="D{number}"><byteStream mimeType="application/octet-stream" size="{size}">
  <fileLocation href="./{path}" locatorType="URL"/><checksum checksumName="{kind}">{digest}</checksum>
</byteStream></dataObject>"""


@dataclass(frozen=True)
class SafeProduct:
    """What is said of a product; ``sensed`` is UTC as ISO 8601, ``offset_dn`` None where no offset is listed."""

    sensed: str
    tile: str
    epsg: int
    outline: shapely.Polygon
    platform: str = "Sentinel-2A"
    baseline: str = "05.11"
    orbit: int = 103
    cloud_percent: float = 5.0
    offset_dn: int | None = -1000

    @property
    def moment(self):
        return self.sensed[:19].replace("-", "").replace(":", "")

    @property
    def name(self):
        number = self.baseline.replace(".", "")
        return (
            f"S2{self.platform[-1].upper()}_MSIL2A_{self.moment}_N{number}_R{self.orbit:03d}_T{self.tile}"
            "_20230101T000000"
        )

    @property
    def granule(self):
        return f"L2A_T{self.tile}_A025000_{self.moment}"

    def image(self, band, resolution_m):
        return f"GRANULE/{self.granule}/IMG_DATA/R{resolution_m}m/T{self.tile}_{self.moment}_{band}_{resolution_m}m"

    def xmls(self, bands):
        """Give the two descriptions of a product with some bands: name to resolution in metres."""
        offsets = "".join(f'<BOA_ADD_OFFSET band_id="{n}">{self.offset_dn}</BOA_ADD_OFFSET>' for n in range(13))
        listed = f"<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>"
        corners = " ".join(f"{y!r} {x!r}" for x, y in self.outline.exterior.coords)
        product = PRODUCT_XML.format(
            start=self.sensed, name=self.name, baseline=self.baseline, platform=self.platform, orbit=self.orbit,
            images="".join(f"<IMAGE_FILE>{self.image(*band)}</IMAGE_FILE>" for band in bands.items()),
            offsets="" if self.offset_dn is None else listed, corners=corners, cloud=self.cloud_percent,
        )  # fmt: skip
        return product, TILE_XML.format(sensed=self.sensed, epsg=self.epsg)


def write_safe(parent, product, bands, checksums="MD5"):
    """Write a product; ``bands`` are (pixels, transform) by name, coded without loss. Gives its folder.

    Recent products give SHA3-256 in capitals, older ones MD5 in small letters; None: without ``manifest.safe``.
    """
    folder = parent / f"{product.name}.SAFE"
    (folder / "GRANULE" / product.granule).mkdir(parents=True)
    texts = product.xmls({band: round(transform.a) for band, (_, transform) in bands.items()})
    (folder / "MTD_MSIL2A.xml").write_text(texts[0], encoding="utf-8")
    (folder / "GRANULE" / product.granule / "MTD_TL.xml").write_text(texts[1], encoding="utf-8")
    for band, (pixels, transform) in bands.items():
        path = folder / f"{product.image(band, round(transform.a))}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path, "w", driver="JP2OpenJPEG", height=pixels.shape[0], width=pixels.shape[1], count=1, dtype=pixels.dtype,
            crs=f"EPSG:{product.epsg}", transform=transform, QUALITY="100", REVERSIBLE="YES",
        ) as dataset:  # fmt: skip
            dataset.write(pixels, 1)
    if checksums:
        manifest = manifest_xml(folder, checksums)
        (folder / "manifest.safe").write_text(manifest, encoding="utf-8")
    return folder


def manifest_xml(folder, kind):
    objects = []
    for number, path in enumerate(sorted(folder.rglob("*.jp2"))):
        data = path.read_bytes()
        digest = hashlib.sha3_256(data).hexdigest().upper() if kind == "SHA3-256" else hashlib.md5(data).hexdigest()  # noqa: S324 - as products have it
        name = path.relative_to(folder).as_posix()
        objects.append(OBJECT_XML.format(number=number, size=len(data), path=name, kind=kind, digest=digest))
    return MANIFEST_XML.format(objects="".join(objects))
