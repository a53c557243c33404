"""The schedule that docs/monitoring.md proposes is one that its linter takes."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "monitoring.md"


def test_the_schedule_is_clean(tmp_path: Path) -> None:
    (schedule,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    program = Path(sysconfig.get_path("scripts")) / "actionlint"
    config = tmp_path / "actionlint.yaml"
    config.write_text("self-hosted-runner: { labels: [production] }\n", encoding="utf-8")
    argv = [str(program), "-config-file", str(config), "-"]
    done = subprocess.run(argv, input=schedule, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert 'RUNNER_TRACKING_ID: ""' in schedule, "the runner would end what a rollback has started"


def test_systemd_does_not_end_what_a_rollback_has_started() -> None:
    (units,) = re.findall(r"```ini\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert "KillMode=process" in units
    assert "SuccessExitStatus=5" in units
