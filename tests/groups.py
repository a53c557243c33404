"""Which tests run one after the other: those that share a project, or nodes that some of them kill.

A mark for it (``xdist_group``) is not seen by xdist 3.8 with pytest 9.2.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

_ENGINE = re.compile(r"everywhere/[^[]*\[([^]-]+)")  # what tests there name first: process, docker …
_SAME = {"examples": "swarm"}  # both restart or need the nodes


class ByEngine(LoadScopeScheduling):  # type: ignore[misc]  # it says nothing of its types
    """Hands the tests of one folder, or in ``everywhere`` of one engine, to one worker, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        named = _ENGINE.match(nodeid)
        folder = nodeid.partition("/")[0]
        return named[1] if named else _SAME.get(folder, folder)
