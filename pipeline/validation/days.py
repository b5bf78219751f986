"""When a world is seen, and what sensor and sky do to each date. Pure, seeded."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from pipeline.sources._sim_scenes import OFFSET_SINCE, SimScene, sun_position

YEARS = (2019, 2020, 2021, 2022)
"""The offset of baseline 04.00 comes in the last of them."""
_SLOTS = (("04-03", "04-24"), ("04-25", "05-14"), ("05-15", "05-31"), ("06-01", "06-14"),
          ("09-02", "09-14"), ("09-15", "09-28"), ("09-29", "10-08"), ("10-09", "10-19"))  # fmt: skip
"""One date in each: eight a year, spread over the stockpile windows."""
_SHIFT_M = 3.0
_COVERS = (0.15, 0.35, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Cloud cover of a year's dates, in an order of their own each year."""
_HAZE_SHARE, _HAZE = 0.2, (0.005, 0.025)
_GAIN_COMMON, _GAIN_BAND, _PATH = 0.015, 0.012, 0.003


@dataclass(frozen=True)
class Day:
    """One acquisition of a world.

    Attributes
    ----------
    scene : SimScene
        Time, sun, shift, cloud and haze; the streams of its random fields.
    year : int
        Number of the year, from 0.
    number : int
        Place among the year's dates.
    gain : tuple of float
        Factor on each band, in the order of BANDS.
    path : float
        Reflectance added to all bands.
    """

    scene: SimScene
    year: int
    number: int
    gain: tuple[float, ...]
    path: float

    @property
    def day_of_year(self) -> int:
        """Day of the year, 1 to 366."""
        return self.scene.datetime.timetuple().tm_yday


def draw_days(
    seed: tuple[int, ...], site_id: str, longitude: float, latitude: float, *, sky: bool, years: int = len(YEARS)
) -> list[Day]:
    """Draw the dates of a world.

    Parameters
    ----------
    seed : tuple of int
        Root of all streams.
    site_id : str
    longitude, latitude : float
        Degrees; for the sun.
    sky : bool
        Whether cloud and haze are simulated; real scenes bring their own.
    years : int
    """
    days = []
    for number_of_year, year in enumerate(YEARS[:years]):
        rng = np.random.default_rng([*seed, number_of_year, 1])
        covers = rng.permutation(_COVERS) if sky else np.zeros(len(_SLOTS))
        for number, (slot, cover) in enumerate(zip(_SLOTS, covers, strict=True)):
            first, last = (dt.date.fromisoformat(f"{year}-{d}") for d in slot)
            day = first + dt.timedelta(days=int(rng.integers((last - first).days + 1)))
            minutes = 640.0 - longitude * 4.0
            when = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=minutes, seconds=number)
            zenith, azimuth = sun_position(when, longitude, latitude)
            shift = rng.normal(0.0, _SHIFT_M, 2)
            hazy = sky and rng.random() < _HAZE_SHARE
            scene = SimScene(
                site_id=site_id,
                datetime=when.replace(microsecond=0),
                platform="sentinel-2a" if number % 2 else "sentinel-2b",
                seed=(*seed, number_of_year, number),
                cloud_cover=float(cover),
                haze=float(rng.uniform(*_HAZE)) if hazy else 0.0,
                snow=False,
                shift_x_m=float(shift[0]),
                shift_y_m=float(shift[1]),
                sun_zenith_deg=zenith,
                sun_azimuth_deg=azimuth,
                processing_baseline="04.00" if day >= OFFSET_SINCE else "02.14",
                offset_in_dn=day >= OFFSET_SINCE,
                offset_declared=day >= OFFSET_SINCE,
            )
            gain = rng.normal(1.0, _GAIN_COMMON) * rng.normal(1.0, _GAIN_BAND, 7)
            days.append(Day(scene, number_of_year, number, tuple(gain), float(rng.normal(0.0, _PATH))))
    return days
