"""Forms that keys of the file share: times, sizes, paths, commands with placeholders."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from gate.judging.limits import parse_duration, parse_size


def parsed_by(parse: Any, kind: str) -> Any:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            return parse(value)
        raise ValueError("write it as text with a unit")

    return BeforeValidator(read, json_schema_input_type=Annotated[str, Field(json_schema_extra={"format": kind})])


def _traffic_step(value: Any) -> Any:
    """``10% 30s``: a share of the traffic and for how long."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)%\s+(\S+)\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a share and a time, such as 10% 30s")
    share = float(match[1]) / 100
    if not 0 < share <= 1:
        raise ValueError("a share lies above 0% and is at most 100%")
    return share, parse_duration(match[2])


def _phase(value: Any) -> Any:
    """``15m for 2h``: how often, and until how long after the release."""
    match = re.fullmatch(r"\s*(\S+)\s+for\s+(\S+)\s*", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write how often and until when, such as 15m for 2h")
    return parse_duration(match[1]), parse_duration(match[2])


Seconds = Annotated[float, parsed_by(parse_duration, "duration"), Field(ge=0)]
Bytes = Annotated[int, parsed_by(parse_size, "size"), Field(ge=0)]


def _field_reference(value: str) -> str:
    if not re.fullmatch(r"/[^#\s]*#[A-Za-z0-9_.-]+", value):
        raise ValueError("write PATH#FIELD, such as /version#version")
    return value


def _route(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value):
        raise ValueError("a route is a path prefix that starts with /, such as / or /api")
    return value


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("a path starts with /, such as /health")
    return value


def placeholders(known: str) -> AfterValidator:
    """Refuses ``{name}`` in a command for any other name than the ``known`` ones."""

    def check(words: list[str]) -> list[str]:
        found = {name for word in words for name in re.findall(r"\{([a-z_]+)\}", word)}
        unknown = sorted(found - set(known.split()))
        if unknown:
            raise ValueError(
                f"{{{unknown[0]}}} is unknown; known are {', '.join(f'{{{name}}}' for name in known.split())}"
            )
        return words

    return AfterValidator(check)


RoutePrefix = Annotated[str, AfterValidator(_route)]
UrlPath = Annotated[str, AfterValidator(_path)]
TrafficStep = Annotated[
    tuple[float, float],
    BeforeValidator(
        _traffic_step,
        json_schema_input_type=Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?%\s+\d+(\.\d+)?(ms|s|m|h|d)\s*$")],
    ),
]
Phase = Annotated[
    tuple[float, float],
    BeforeValidator(
        _phase,
        json_schema_input_type=Annotated[
            str, Field(pattern=r"^\s*\d+(\.\d+)?(ms|s|m|h|d)\s+for\s+\d+(\.\d+)?(ms|s|m|h|d)\s*$")
        ],
    ),
]
FieldReference = Annotated[str, AfterValidator(_field_reference)]
Command = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """A table of the file. Unknown keys are errors; nothing changes after loading."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # each table is built once, as a part of the whole file, and not for itself first
    )
