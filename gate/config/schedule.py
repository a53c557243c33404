"""When deployments may begin."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gate.config.fields import Seconds, Section
from gate.schedule.calendar import Calendar
from gate.schedule.calendar import Freeze as Frozen
from gate.schedule.windows import PATTERN, Window


def _window(value: Any) -> Any:
    return Window.parse(value) if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    """TOML has dates of its own: ``ends = 2027-01-02`` is as good as the same in quotes."""
    return value.isoformat() if isinstance(value, date | datetime) else value


WindowText = Annotated[Window, BeforeValidator(_window, json_schema_input_type=Annotated[str, Field(pattern=PATTERN)])]
DateText = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str)]


class Freeze(Section):
    """A time without deployments."""

    begins: DateText = Field(description="Date, or time such as 2026-12-20T18:00, in the zone")
    ends: DateText = Field(description="The same; a date is the last day that is frozen")
    reason: Annotated[str, Field(min_length=1, description="Told to whoever is refused")]

    @model_validator(mode="after")
    def _readable(self) -> Freeze:
        self.parsed()
        return self

    def parsed(self) -> Frozen:
        return Frozen.parse(self.begins, self.ends, self.reason)


class Soak(Section):
    """The same digest must have been released on another environment first, and stayed green there."""

    environment: Annotated[str, Field(min_length=1, description="Name of that environment, such as staging")]
    hours: Annotated[float, Field(gt=0, strict=False)] = Field(description="How long it must have served there")


class Schedule(Section):
    """When a deployment may begin; rollback, recover, keep and an emergency are never held up by it."""

    windows: list[WindowText] = Field(
        [], description="Such as 02:00-04:00 or Mon-Thu 22:00-02:00; a deployment must end within one; empty: always"
    )
    zone: str = Field("UTC", description="IANA time zone of windows and freezes, such as Europe/Berlin")
    freezes: list[Freeze] = Field([])
    soak: Soak | None = None
    expected: Annotated[Seconds, Field(gt=0)] = Field(
        1200.0, description="How long a deployment takes, until past ones of this environment tell"
    )

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone that this machine knows, such as Europe/Berlin") from None
        return zone

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.windows, [freeze.parsed() for freeze in self.freezes], ZoneInfo(self.zone))
