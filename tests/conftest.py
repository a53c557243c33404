"""Property tests are the same on every machine, busy or not: fixed examples, no time limit for one, nothing kept."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
