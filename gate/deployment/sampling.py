"""Samples what the candidate uses while it is judged, for the report's charts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gate.deployment.run import Run
from gate.errors import EngineError

EVERY = 0.5
"""Seconds between two samples."""


@contextmanager
def sampling(run: Run) -> Iterator[None]:
    """Collects the candidate's resource usage in the background for a block; a missing sample is just missing."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(EVERY):
            try:
                candidate = run.candidate
                used = run.engine.resources(candidate) if candidate is not None else []
            except EngineError:
                continue
            now = run.clock()
            run.evidence.usage += [(now, usage) for usage in used]

    thread = threading.Thread(target=sample, name="sampling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
