"""A full disk: commands refuse with the reason, and status tells what is known."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands.little import HOUSE, little
from tests.engine import disk
from tests.engine.site import folder

PROMOTED = "11"
"""Which line of the journal says that the candidate has all traffic; the first one is 0."""


def test_commands_on_a_full_disk() -> None:
    with (
        folder() as root,
        disk.tiny(root / ".gate", "8m") as state,
        little(root, "1.0.0", "1.1.0") as here,
    ):
        disk.fill(state)
        for words in (["--version", "1.1.0"], ["--version", "1.1.0", "--dry-run"], ["rollback"]):
            ran = here.gate(*words)
            assert ran.code == 3, ran.told
            assert "defect" not in ran.told + ran.reasons
            assert "Traceback" not in ran.told
            assert "free some disk space" in str(ran.document["next"]), ran.document
        assert here.gate("recover").code in (0, 3)
        status = here.gate("status")
        assert status.code == 0, status.told
        assert status.document["stable"]["version"] == "1.1.0"
        assert status.document["stable"]["runs"] is True
        (state / "filler").unlink()
        assert here.gate("rollback").document["outcome"] == "ROLLED_BACK"
        assert here.serving() == "1.0.0"


@pytest.mark.parametrize("whole", [False, True], ids=["the records' disk", "the suites' disk too"])
def test_the_disk_fills_up_in_the_middle_of_a_deployment(whole: bool) -> None:
    """Where the suites can still run, the undo is proven; else it is done, and said not to be proven."""
    with folder() as root, disk.tiny(root / ".gate", "8m") as state:
        if not whole:
            (root / "runs").mkdir()
            (state / "local").mkdir()
            (state / "local" / "runs").symlink_to(root / "runs")
        with little(root, "1.0.0") as here:
            here.smoke(f"""
                from pathlib import Path
                from tests.engine import disk
                disk.fill(Path({str(state)!r}))""")
            here.release("1.1.0")
            ran = here.deploy("1.1.0")
            told = ran.told + ran.reasons
            assert (ran.code, ran.document["outcome"]) == ((4, "ROLLBACK_FAILED") if whole else (1, "ROLLED_BACK")), (
                told
            )
            assert "defect" not in told
            assert "the gate's own records cannot be used" in told, "why it was undone"
            assert "not in the journal: smoke undo" in told, "what could not be written down is said"
            assert here.serving() == "1.0.0"
            (state / "filler").unlink()
            here.restore()
            open_still = here.store.unfinished() is not None
            assert here.gate("recover").code == (1 if open_still else 0)
            status = here.gate("status").document
            assert status["unfinished"] is None
            assert [item["version"] for item in status["instances"]] == ["1.0.0"]
            assert here.deploy("1.1.0").code == 0
            assert here.serving() == "1.1.0"


def test_recover_on_a_full_disk_gives_the_traffic_back_and_finishes_once_there_is_room() -> None:
    """A gate was killed when its candidate had all traffic, and then the disk filled up."""
    with folder() as root, disk.tiny(root / ".gate", "8m") as state, little(root, "1.0.0") as here:
        here.release("1.1.0")
        argv = [sys.executable, str(HOUSE / "tests" / "e2e" / "killing.py"), "gate", PROMOTED, "after", ""]
        killed = subprocess.run(
            [*argv, "deploy", "1.1.0"],
            cwd=root, env=here.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (killed.returncode, here.serving()) == (-9, "1.1.0"), killed.stderr
        disk.fill(state)
        ran = here.gate("recover")
        assert ran.code in (3, 4), f"what cannot be proven is not said to be: {ran.told}"
        assert "defect" not in ran.told + ran.reasons
        assert "Traceback" not in ran.told
        assert here.serving() == ("1.0.0" if ran.code == 4 else "1.1.0"), "undone, or refused and nothing touched"
        assert here.deploy("1.1.0").code in (3, 5), "what is not finished stands in the way"
        (state / "filler").unlink()
        ended = here.gate("recover")
        assert (ended.code, ended.document["outcome"]) == (1, "ROLLED_BACK"), ended.told
        status = here.gate("status").document
        assert [item["version"] for item in status["instances"]] == [here.serving()] == ["1.0.0"]
        assert (status["unfinished"], status["lock"]) == (None, None)


def test_a_report_that_finds_no_room_changes_no_outcome() -> None:
    with folder() as root, disk.tiny(root / "reports") as reports, little(root, "1.0.0") as here:
        disk.fill(reports)
        here.release("1.1.0")
        ran = here.deploy("1.1.0")
        assert (ran.code, ran.document["outcome"]) == (0, "RELEASED"), ran.told
        assert ran.document["report"] is None
        assert "the report could not be written" in ran.told
        assert here.serving() == "1.1.0"
        left = {file.name for file in reports.rglob("2/*")}
        assert not left & {"report.html", "decision.json", "decision.json.new"}, "no half of either"
