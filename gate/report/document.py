"""The decision record as JSON: out, in, on disk, and its schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gate.errors import OperationFailed
from gate.machine import durable
from gate.redact import Redactor
from gate.report.record import FORMAT, DecisionRecord


def to_json(record: DecisionRecord, redact: Redactor) -> dict[str, Any]:
    """The record as a document of builtins only, every free text of it redacted."""
    return {item.name: _plain(getattr(record, item.name), redact) for item in fields(record)}


def _plain(value: object, redact: Redactor) -> Any:  # noqa: PLR0911 - one line per kind of value
    # An Enum's value comes from our own list: it needs no redaction, and must survive it.
    match value:
        case Enum():
            return value.value
        case str():
            return redact(_encodable(value))
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {redact(_encodable(str(key))): _plain(item, redact) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item, redact) for item in value]
        case _ if is_dataclass(value):
            return {item.name: _plain(getattr(value, item.name), redact) for item in fields(value)}
        case _:
            return value


def _encodable(text: str) -> str:
    """Text as UTF-8 can hold it: bytes a program printed in another encoding arrive as lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def from_json(document: Mapping[str, Any]) -> DecisionRecord:
    """The record of a document. Raises OperationFailed naming every place that is not as format 1 says."""
    if document.get("format") != FORMAT:
        raise OperationFailed(
            f"this decision record has format {document.get('format')!r}; this version of the gate reads {FORMAT}"
        )
    try:
        return _ADAPTER.validate_python({**document, "suites": _with_numbers(document.get("suites", []))})
    except ValidationError as fault:
        places = "\n".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in fault.errors())
        raise OperationFailed(f"not a decision record:\n{places}") from None


def _with_numbers(suites: Any) -> Any:
    """Measured values that were no number, as they were before they became ``null``."""
    if not isinstance(suites, list):
        return suites

    def restored(measurement: Any) -> Any:
        if isinstance(measurement, dict) and "value" in measurement and measurement["value"] is None:
            return {**measurement, "value": math.nan}
        return measurement

    def case(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # The runs of a case that ran more than once have figures, too.
        kinds = {"measurements": restored, "attempts": case}
        lists = {key: made for key, made in kinds.items() if isinstance(value.get(key), list)}
        return {**value, **{key: [made(item) for item in value[key]] for key, made in lists.items()}}

    return [
        {**suite, "cases": [case(item) for item in suite["cases"]]}
        if isinstance(suite, dict) and isinstance(suite.get("cases"), list)
        else suite
        for suite in suites
    ]


def write(document: Mapping[str, Any], file: Path) -> None:
    """Writes a document whole or not at all: a reader never sees half of it."""
    durable.write(file, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def read(file: Path) -> dict[str, Any]:
    """The document in a file. Raises OperationFailed when it cannot be read."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise OperationFailed(f"{file}: cannot be read: {fault.strerror}") from None
    except ValueError:
        raise OperationFailed(f"{file}: is not JSON") from None
    if not isinstance(document, dict):
        raise OperationFailed(f"{file}: is not a decision record")
    return document


def schema() -> dict[str, Any]:
    """The JSON Schema of format 1 (draft 2020-12)."""
    made = _ADAPTER.json_schema(mode="validation")
    # NaN has no JSON form: a value that could not be measured is null in the document.
    made["$defs"]["Measurement"]["properties"]["value"]["type"] = ["number", "null"]
    made["required"].insert(0, "format")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "decision.json of the deploy gate, format 1",
        **{key: value for key, value in made.items() if key != "title"},
    }


_ADAPTER: TypeAdapter[DecisionRecord] = TypeAdapter(DecisionRecord)
