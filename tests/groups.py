"""Which tests must not run side by side: those of one engine. (A mark for it is not seen by xdist with pytest 9.)"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

_ENGINE = re.compile(r"everywhere/[^[]*\[([^]-]+)")  # what tests there name first: process, docker …
_SAME = {"examples": "swarm"}  # both restart or need the nodes


class ByEngine(LoadScopeScheduling):  # type: ignore[misc]  # it says nothing of its types
    """Hands the tests of one engine to one worker, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        named = _ENGINE.match(nodeid)
        folder = nodeid.partition("/")[0]
        return named[1] if named else _SAME.get(folder, folder)
