"""What is watched after a deployment: the phases of its monitoring, and until when it may roll back."""

from __future__ import annotations

from pydantic import Field, model_validator

from gate.config.fields import Phase, Seconds, Section

MINUTE = 60.0


class Monitoring(Section):
    """What `monitor` does after a release was accepted (docs/monitoring.md)."""

    phases: list[Phase] = Field(
        [],
        description="How often it looks, and until how long after the release; each begins where the one before ends. "
        "Empty: nothing is monitored",
    )
    rollback_in: Seconds = Field(
        0.0, description="So long after the release a ROLLBACK verdict rolls back by itself; later it alerts"
    )

    @model_validator(mode="after")
    def _growing(self) -> Monitoring:
        begins = 0.0
        for number, (every, until) in enumerate(self.phases):
            if every < MINUTE:
                raise ValueError(f"phases.{number}: looks at most once a minute, so write 1m or more")
            if begins + every > until:
                first = begins + every
                raise ValueError(
                    f"phases.{number}: ends {until:g} s after the release, its first look is at {first:g} s"
                )
            begins = until
        if self.rollback_in and self.rollback_in > begins:
            raise ValueError(f"rollback_in: {self.rollback_in:g} s, but the last phase ends {begins:g} s after it")
        return self
