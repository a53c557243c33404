"""A full disk: commands refuse with the reason, and status tells what is known."""

from __future__ import annotations

from tests.commands.little import little
from tests.engine import disk
from tests.engine.site import folder


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
