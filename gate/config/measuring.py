"""What deployments were like before: what the measures of this environment are held beside."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from gate.config.fields import Section
from gate.judging.limits import parse_duration

_SPAN = r"^\s*\d+(\.\d+)?(ms|s|m|h|d)(\s*-\s*\d+(\.\d+)?(ms|s|m|h|d))?\s*$"


def _span(value: Any) -> tuple[float, float]:
    """``15m-20m``, or ``30m`` alone: seconds from and to."""
    if not isinstance(value, str) or not re.fullmatch(_SPAN, value):
        raise ValueError("write a duration such as 30m, or two of them such as 15m-20m")
    ends = [parse_duration(part.strip()) for part in value.split("-")]
    if ends[0] > ends[-1]:
        raise ValueError("the shorter one comes first, such as 15m-20m")
    return ends[0], ends[-1]


def _share(value: Any) -> float:
    """``60%``."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if found is None or float(found[1]) > 100:
        raise ValueError("write a share of at most 100%, such as 60%")
    return float(found[1]) / 100


Span = Annotated[
    tuple[float, float], BeforeValidator(_span, json_schema_input_type=Annotated[str, Field(pattern=_SPAN)])
]
Percent = Annotated[
    float,
    BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*%\s*$")]),
]


class Baseline(Section):
    """How it was before the gate, as the team knows it; shown beside what is measured, and deciding nothing."""

    success: Percent | None = Field(None, description="Deployments that succeeded, such as 60%")
    deployment: Span | None = Field(None, description="How long one took, such as 15m-20m")
    rollback: Span | None = Field(None, description="How long going back took, such as 30m-60m")
    detection: Span | None = Field(None, description="Until a fault was noticed, such as 2h-8h")
    restore: Span | None = Field(None, description="Until users were served well again, such as 1h-4h")
