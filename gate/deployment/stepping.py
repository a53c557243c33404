"""A step while it runs: timed, recorded and shown; and how a fault is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gate.deployment.evidence import StepRecord
from gate.deployment.run import Run
from gate.errors import GateError


def told(fault: BaseException) -> str:
    return str(fault) if isinstance(fault, GateError) else f"a defect of the gate: {type(fault).__name__}: {fault}"


@contextmanager
def timed(run: Run, name: str) -> Iterator[Callable[[str], None]]:
    """Times and records a step and shows it; the block says its one line."""
    record = StepRecord(name, run.clock())
    run.evidence.steps.append(record)
    run.view.step(name)
    began = time.monotonic()

    def say(detail: str) -> None:
        record.detail = detail

    try:
        yield say
    except BaseException as fault:
        record.seconds = time.monotonic() - began
        record.status = "interrupted" if isinstance(fault, KeyboardInterrupt) else "failed"
        record.detail = "interrupted" if isinstance(fault, KeyboardInterrupt) else str(fault)
        run.view.failed(name, record.detail.splitlines(), record.seconds)
        raise
    record.seconds = time.monotonic() - began
    record.status = "done"
    run.view.done(name, record.detail, record.seconds)
