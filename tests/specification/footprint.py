"""Expected largest of a fixed number of dates, in plain numpy."""

import numpy as np

from models._indices import Float32
from models.footprint import draw_weights


def expected_largest(values: Float32, k: int) -> Float32:
    """Mean of the largest over all draws of ``k`` of a pixel's dates; NaN unseen; ``values`` (dates, rows, columns)."""
    dates = values.shape[0]
    seen = np.isfinite(values).sum(axis=0)
    weight = draw_weights(dates, k)
    largest = np.zeros(values.shape[1:])
    for place, ordered in enumerate(np.sort(values, axis=0)):
        largest += weight[seen, place] * np.nan_to_num(ordered)
    return np.where(seen > 0, largest, np.nan).astype(np.float32)
