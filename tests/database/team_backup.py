"""What a team could have: a backup tool of its own, here little more than pg_basebackup and pg_verifybackup."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(command: str, programs: str, store: str, backup: str, *rest: str) -> int:
    tools, place = Path(programs), Path(store) / backup
    match command:
        case "make":
            print("token", os.environ["TEAM_TOKEN"], "to", os.environ["DATABASE_URL"])
            argv = [str(tools / "pg_basebackup"), f"--dbname={os.environ['DATABASE_URL']}", f"--pgdata={place}"]
            return subprocess.run([*argv, "--checkpoint=fast"], check=False, timeout=60).returncode
        case "verify":
            return subprocess.run([tools / "pg_verifybackup", place], check=False, timeout=60).returncode
        case "restore":
            assert "DATABASE_URL" not in os.environ, "a restore must not find the way to the live database"
            shutil.copytree(place, rest[0])
            return 0
    return 64


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
