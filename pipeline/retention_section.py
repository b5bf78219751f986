"""The section of config.yaml about disk space: what is kept how long; as :mod:`pipeline.sections`."""

from pydantic import Field

from pipeline.sections import Section


class RetentionConfig(Section):
    """What a batch removes by itself: working copies and old logs. Never evidence, results, runs or decisions."""

    max_working_gb: float | None = Field(None, ge=0)
    """What sites remember of earlier runs, so as not to compute it again, and fetches under way (10^9 bytes); None: no
    limit of ours. A site keeps about as much as its composites, and its results are the same without."""
    min_free_gb: float = Field(1.0, ge=0)
    """A batch makes room by removing working copies, and does not begin with less (10^9 bytes): about what the products
    of a large site take."""
    keep_log_days: int = Field(400, ge=1)
    """A year and a month: what the same season of the year before was like can still be read."""
