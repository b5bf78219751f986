"""The sections of config.yaml about occupied ground and about verdicts; as :mod:`pipeline.sections`, which see."""

from pydantic import Field, field_validator

from pipeline.sections import Positive, Section, Share


class FootprintConfig(Section):
    """Persistent non-vegetated ground (science 3.4)."""

    ndvi_max_bare: float = 0.30
    """Greener ground is vegetation (science 3.4)."""
    bare_share: Share = 0.60
    """Share of clear dates ground must be bare on (science 3.4)."""
    min_px: int = Field(10, ge=1)
    """Smallest patch: 0.1 ha (science 3.4)."""
    min_pixel_dates: int = Field(3, ge=2)
    """Clear dates a pixel needs, and of how many the largest NDVI is expected, whatever their number: of three
    in a season one lies in the green weeks."""
    dark_brightness: float = 0.10
    """Ground darker than this is classed dark_ground (spoil, coal, tar), else bare_or_built."""


class BoundaryConfig(Section):
    """Zones and certain change (science 3.4)."""

    rings_m: tuple[Positive, Positive, Positive] = (1000.0, 3000.0, 10000.0)
    """Outer edges of the two adjacent rings and of the outside zone (science 3.4)."""
    sigma_registration_m: float = Field(2.0, ge=0)
    """Position of one year per axis: 5 m CE95 within one orbit is 2.0 m (science 2.4)."""
    sigma_absolute_m: float = Field(3.3, ge=0)
    """Position of the reference scene per axis: 8 m CE95 (science 2.4); it counts where a zone's edge cuts ground."""
    sigma_edge_m: float = Field(2.0, ge=0)
    """Position of an edge within a pixel; both give the 7.8 m beyond which change is certain (science 3.4)."""
    lasting_years: int = Field(2, ge=1)
    """Adequate years after a gain that must not show it green again, and the longest that ground is bared in
    passing: a logged patch greens within two seasons, a field that rotates within one."""
    shore_m: float = Field(30.0, ge=0)
    """Ground this near to a bed that falls dry is shore, not occupied: three pixels, over which 20 m bands mix in."""

    @field_validator("rings_m")
    @classmethod
    def _growing(cls, rings_m: tuple[float, float, float]) -> tuple[float, float, float]:
        if list(rings_m) != sorted(set(rings_m)):
            raise ValueError(f"{rings_m} must grow from the inner to the outer ring")
        return rings_m


class StatsConfig(Section):
    """Verdicts (docs/contract.md)."""

    fdr_q: float = Field(0.10, gt=0, lt=1)
    """False discovery rate within a family of changes (science 3.5)."""
    min_trend_years: int = Field(5, ge=5)
    """With four years Mann-Kendall can never reach p < 0.05 (science 3.5)."""
    max_invariant_drift: Positive = 0.01
    """Change of the mean reflectance of ground occupied in every year, between two processing baselines, platforms
    or orbits, above which a trend is not judged (science 3.5): the drift a year may have by science 2.6."""
