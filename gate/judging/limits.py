"""Limits as people write them (``> 5%``, ``<= 1s``) and the rules made of them: parsed once, compared in one place."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gate.results import Decision, Severity


class Unit(StrEnum):
    """What a signal is measured in. Seconds and bytes are base units; a share is 0 to 1."""

    COUNT = "count"
    SECONDS = "seconds"
    SHARE = "share"
    BYTES = "bytes"


class Statistic(StrEnum):
    """What of a signal is held against its limits."""

    COUNT = "count"  # how many
    VALUE = "value"  # the figure as it was measured
    P95 = "p95"  # the 95th percentile
    SHARE = "share"  # the plain share, of min_n at least
    SEQUENTIAL = "sequential"  # a test that may be asked after every request
    SUSTAINED = "sustained"  # the lowest of min_n samples in a row


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SUFFIXES: dict[Unit, dict[str, float]] = {
    Unit.COUNT: {"": 1},
    Unit.SECONDS: dict(_DURATIONS),
    Unit.SHARE: {"": 1, "%": 0.01},
    Unit.BYTES: {"": 1, **{name: float(size) for name, size in _SIZES.items()}},
}
_LIMIT = re.compile(r"\s*(>=|<=|==|>|<)\s*(\d+(?:\.\d+)?)\s*(%|[A-Za-z]*)\s*")
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def parse_duration(text: str) -> float:
    """Seconds of ``250ms``, ``30s``, ``2m``, ``1h`` or ``7d``. Raises ValueError."""
    return _quantity(text, _DURATIONS, "a duration such as 30s, 2m or 250ms")


def parse_size(text: str) -> int:
    """Bytes of ``512M``, ``2G`` or ``1024`` (powers of 1024). Raises ValueError."""
    return int(
        _quantity(text, {"": 1.0, **{name: float(size) for name, size in _SIZES.items()}}, "a size such as 512M")
    )


def _quantity(text: str, units: dict[str, float], expected: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not {expected}")
    return _scaled(match[1], units[match[2]])


def _scaled(number: str, factor: float) -> float:
    """``number`` × ``factor`` as people reckon: 70 × 0.01 is 0.7, and no float beside it."""
    return float(Decimal(number) * Decimal(str(factor)))


@dataclass(frozen=True)
class Limit:
    """One comparison; ``text`` is as the team wrote it."""

    op: str
    value: float
    text: str

    def holds(self, value: float) -> bool:
        return _COMPARE[self.op](value, self.value)

    @staticmethod
    def parse(text: str, unit: Unit) -> Limit:
        """Reads ``> 5%`` for a share, ``<= 1s`` for seconds. Raises ValueError saying what to write instead."""
        match = _LIMIT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a limit; write an operator and a number, such as {_example(unit)!r}")
        op, number, suffix = match.groups()
        suffixes = _SUFFIXES[unit]
        if suffix not in suffixes:
            raise ValueError(f"{text!r}: the signal is measured in {unit}; write {_example(unit, op, number)!r}")
        value = _scaled(number, suffixes[suffix])
        if unit is Unit.SHARE and value > 1:
            raise ValueError(
                f'{text!r}: the signal is a share; write "{op} {number}%" or "{op} {float(number) / 100:g}"'
            )
        return Limit(op, value, f"{op} {number}{suffix and ('%' if suffix == '%' else ' ' + suffix)}")


def _example(unit: Unit, op: str = ">", number: str = "") -> str:
    """A limit of the right form, with as much of the team's own as could be read."""
    usual, suffix = {
        Unit.COUNT: ("2", ""),
        Unit.SECONDS: ("3", "s"),
        Unit.SHARE: ("5", "%"),
        Unit.BYTES: ("512", "M"),
    }[unit]
    return f"{op} {number or usual}{suffix}"


@dataclass(frozen=True)
class Rule:
    """Limits on one signal: GO while ``go`` holds, ROLLBACK once ``rollback`` holds, HOLD between.

    With fewer than ``min_n`` samples, or a value that is no number, the answer is HOLD. ``dry_run`` rules only report.
    """

    signal: str
    unit: Unit
    go: Limit | None
    rollback: Limit | None
    min_n: int = 1
    severity: Severity = Severity.HIGH
    dry_run: bool = False
    statistic: Statistic = Statistic.VALUE

    def decide(self, value: float, n: int) -> Decision:
        """The decision on one value from ``n`` samples."""
        if n < self.min_n or not math.isfinite(value):
            return Decision.HOLD
        if self.rollback is not None and self.rollback.holds(value):
            return Decision.ROLLBACK
        if self.go is not None and not self.go.holds(value):
            return Decision.HOLD
        return Decision.GO


def show(value: float, unit: Unit) -> str:
    """A value as a person reads it: ``4.02 s``, ``19 %``, ``512 MB``, ``3``."""
    if unit is Unit.SECONDS:
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
    if unit is Unit.SHARE:
        return f"{value * 100:.3g} %"
    if unit is Unit.BYTES:
        return f"{value / 2**20:.1f} MB" if value >= 2**20 else f"{value:.0f} B"
    return f"{value:g}"
