"""A gate that dies in the middle of a rehearsal: whatever it had started beside the copy goes with the next sweep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from gate.database.cluster import sweep
from tests.commands.little import HOUSE

STARTS = """
import sys
from pathlib import Path
from gate.database.cluster import reserved
from gate.machine.supervise import Process
with reserved(Path(sys.argv[1])) as spare:
    place = spare.folder.parent / "local" / "rel" / "r1"
    place.mkdir(parents=True)
    print(Process(place, "web").start([sys.executable, "-c", "input()"], env={}, cwd=place), flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", STARTS, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
    with subprocess.Popen(argv, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gate:
        assert gate.stdout is not None
        service = psutil.Process(int(gate.stdout.readline()))
        sweep(tmp_path)
        assert service.is_running(), "its gate lives"
        gate.kill()
        gate.wait(10)
    sweep(tmp_path)
    assert not service.is_running() or service.status() == psutil.STATUS_ZOMBIE
    assert list(tmp_path.glob("scratch-*")) == []
