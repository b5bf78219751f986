"""The same as a line of a crontab, for machines without systemd. Pure."""

import re
import shlex

from pipeline.errors import InputError
from pipeline.schedule.plan import BUSY, FLOCK, Plan

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELD = r"[\d*][\d*,/-]*"
_FIELDS = re.compile(rf"{_FIELD}(?: {_FIELD}){{3}} (?:{_FIELD}|[A-Za-z]{{3}}(?:[,-][A-Za-z]{{3}})*)")
_CALENDAR = re.compile(
    r"(?:(?P<days>[A-Za-z]{3,9}(?:(?:,|\.\.)[A-Za-z]{3,9})*) )?"
    r"(?:\*-\*-(?P<day>\*|\d{1,2}) )?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::00)?"
)
_SHORT = {"daily": "0 0 * * *", "weekly": "0 0 * * 1", "monthly": "0 0 1 * *", "hourly": "0 * * * *"}


def times(at: str) -> str:
    """Return the five fields of a crontab for a calendar expression of systemd, or for such fields themselves.

    Raises
    ------
    InputError
        The expression says what five fields cannot, or is neither.
    """
    text = " ".join(at.split())
    if text.lower() in _SHORT:
        return _SHORT[text.lower()]
    if _FIELDS.fullmatch(text):
        return text
    found = _CALENDAR.fullmatch(text)
    days = _week(found["days"]) if found else None
    if found is None or days is None or int(found["hour"]) > 23 or int(found["minute"]) > 59:  # noqa: PLR2004 - a clock
        raise InputError(f"--at {at!r}: is no time a crontab knows; write its five fields, e.g. --at '0 3 * * 1'")
    day = found["day"] or "*"
    if day != "*" and days != "*":
        raise InputError(f"--at {at!r}: a crontab joins day of month and weekday by or; name one of them")
    return f"{int(found['minute'])} {int(found['hour'])} {day if day == '*' else int(day)} * {days}"


def line(plan: Plan) -> str:
    """Return the line: times, the lock, and the program behind nice and ionice; blanks, quotes and ``%`` escaped."""
    words = [FLOCK, "--nonblock", "--conflict-exit-code", str(BUSY), str(plan.config)]
    command = shlex.join([*words, "nice", "-n", "10", "ionice", "-c", "3", *plan.command])
    # In a crontab an unescaped % ends the line.
    return f"{times(plan.at)} {command}".replace("%", r"\%")


def _week(days: str | None) -> str | None:
    """Return the weekdays as a crontab counts them; None where one is none."""
    if days is None:
        return "*"
    listed = []
    for part in days.lower().split(","):
        ends = [_DAYS.index(end[:3]) if end[:3] in _DAYS else None for end in part.split("..")]
        if None in ends:
            return None
        # Sunday may end a week too.
        listed.append("-".join(str(7 if n and not end else end) for n, end in enumerate(ends)))
    return ",".join(listed)
