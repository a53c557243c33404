"""Windows and freezes together: whether a deployment may begin now, whether it would end in time, and if not, when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gate.schedule.walltime import moment
from gate.schedule.windows import Window

_AHEAD = 400  # days that are looked through for the next opening: any freeze ends within a year, or is a mistake


@dataclass(frozen=True)
class Span:
    """A stretch of time (UTC); ``ends`` None: without an end."""

    begins: datetime
    ends: datetime | None

    def holds(self, now: datetime) -> bool:
        return self.begins <= now and (self.ends is None or now < self.ends)


@dataclass(frozen=True)
class Freeze:
    """No deployments from ``begins`` until before ``ends``, both as clocks in the zone show them, and why."""

    begins: datetime
    ends: datetime
    reason: str

    @staticmethod
    def parse(begins: str, ends: str, reason: str) -> Freeze:
        """From dates (the last one is frozen too) or times such as ``2026-12-20T18:00``. Raises ValueError."""
        first, last = _read(begins), _read(ends)
        start = first if isinstance(first, datetime) else datetime.combine(first, datetime.min.time())
        end = last if isinstance(last, datetime) else datetime.combine(last + timedelta(days=1), datetime.min.time())
        if end <= start:
            raise ValueError(f"ends: {ends} does not lie after {begins}")
        return Freeze(start, end, reason)


def _read(text: str) -> date | datetime:
    try:
        found = date.fromisoformat(text) if len(text) <= len("2026-12-20") else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write 2026-12-20, or 2026-12-20T18:00") from None
    if isinstance(found, datetime) and found.tzinfo is not None:
        raise ValueError(f"{text!r}: leave the offset away; it is the time in the [schedule] zone")
    return found


@dataclass(frozen=True)
class Calendar:
    """Windows (none: always open) and freezes of one place, in its zone."""

    windows: Sequence[Window]
    freezes: Sequence[Freeze]
    zone: ZoneInfo

    def window(self, now: datetime) -> Span | None:
        """The window that is open now, those that meet or overlap as one; None while all are closed."""
        return next((span for span in self._open(now) if span.holds(now)), None)

    def frozen(self, now: datetime) -> tuple[Freeze, datetime] | None:
        """The freeze of now that ends last, and when it ends; None without one."""
        found = [(freeze, moment(freeze.ends, self.zone)) for freeze in self.freezes]
        holding = [(freeze, end) for freeze, end in found if moment(freeze.begins, self.zone) <= now < end]
        return max(holding, key=lambda pair: pair[1], default=None)

    def next_freeze(self, now: datetime) -> datetime | None:
        """When the next freeze begins; None without one to come."""
        begins = (moment(freeze.begins, self.zone) for freeze in self.freezes)
        return min((at for at in begins if at > now), default=None)

    def next_chance(self, now: datetime, expected: timedelta) -> datetime | None:
        """The first moment from now on at which a deployment of ``expected`` length can begin, and ends while it is
        allowed; None where no window within 400 days is long enough."""
        for span in self._open(now):
            for begins, ends in self._unfrozen(span, now):
                if ends is None or begins + expected <= ends:
                    return begins
        return None

    def _unfrozen(self, span: Span, now: datetime) -> Iterator[tuple[datetime, datetime | None]]:
        """The parts of a span, from now on, that no freeze covers."""
        begins = max(span.begins, now)
        for start, end in sorted(
            (moment(item.begins, self.zone), moment(item.ends, self.zone)) for item in self.freezes
        ):
            if end <= begins or (span.ends is not None and start >= span.ends):
                continue
            if start > begins:
                yield begins, start
            begins = max(begins, end)
        if span.ends is None or begins < span.ends:
            yield begins, span.ends

    def _open(self, now: datetime) -> Iterator[Span]:
        """Windows that have not ended at ``now``, in their order, those that meet or overlap as one."""
        if not self.windows:
            yield Span(datetime.min.replace(tzinfo=UTC), None)
            return
        today = now.astimezone(self.zone).date()
        grown: Span | None = None
        for day in range(-2, _AHEAD):  # one that began the evening before may still be open
            that = today + timedelta(days=day)
            found = [span for window in self.windows if (span := window.on(that, self.zone)) is not None]
            for begins, ends in sorted(found):
                if grown is not None and grown.ends is not None and begins <= grown.ends:
                    grown = Span(grown.begins, max(grown.ends, ends))
                    continue
                if grown is not None and grown.ends is not None and grown.ends > now:
                    yield grown
                grown = Span(begins, ends)
        if grown is not None and grown.ends is not None and grown.ends > now:
            yield grown


def local(at: datetime, zone: ZoneInfo) -> str:
    """A moment as people there read it: ``2026-11-29 02:00 CET``."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
