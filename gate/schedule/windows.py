"""Off-peak windows as people write them: ``02:00-04:00``, ``Mon-Thu 22:00-02:00``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gate.schedule.walltime import moment

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = f"(?:{'|'.join(DAYS)})"
PATTERN = rf"^(?:{_DAY}(?:[-,]{_DAY})*\s+)?\d\d:\d\d\s*-\s*\d\d:\d\d$"
_FORM = re.compile(rf"(?:({_DAY}(?:[-,]{_DAY})*)\s+)?(\d\d:\d\d)\s*-\s*(\d\d:\d\d)")


@dataclass(frozen=True)
class Window:
    """A part of the day, on some days of the week (0 is Monday); one that ends at or before its start ends on the day
    after. ``text`` is as the team wrote it."""

    start: time
    end: time
    days: tuple[int, ...]
    text: str

    @staticmethod
    def parse(text: str) -> Window:
        """Reads ``02:00-04:00``, ``Sat,Sun 00:00-06:00`` or ``Mon-Thu 22:00-02:00``. Raises ValueError."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a window; write 02:00-04:00, or Mon-Thu 22:00-02:00")
        days, *times = match.groups()
        try:
            start, end = (time.fromisoformat(item) for item in times)
        except ValueError:
            raise ValueError(f"{text!r}: a time of the day is 00:00 to 23:59; midnight at the end is 00:00") from None
        return Window(start, end, _days(days) if days else tuple(range(7)), text.strip())

    def on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        """From when to when (UTC) it is open if it begins on ``day``; None on a day that is not its own, or on which
        the change of the clocks skips it."""
        if day.weekday() not in self.days:
            return None
        last = day if self.end > self.start else day + timedelta(days=1)
        opens, closes = (moment(datetime.combine(on, at), zone) for on, at in ((day, self.start), (last, self.end)))
        return (opens, closes) if opens < closes else None


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, *rest = (DAYS.index(name) for name in part.split("-"))
        last = rest[-1] if rest else first
        found |= {day % 7 for day in range(first, last + (7 if last < first else 0) + 1)}
    return tuple(sorted(found))
