"""Builds a release of the shop as an image: `build.py` makes its folder, the Dockerfile beside this file the rest.

    python example/store/image.py 1.1.0 store:1.1.0

The base image is BASE, or the Dockerfile's own; the engine is DOCKER_HOST's. Exit codes: as build.py's, and 1 when
Docker cannot build it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.resolve()


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    version, image = arguments
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = subprocess.run([sys.executable, HERE / "build.py", version, "--into", place / "release"], check=False)
        if made.returncode:
            return made.returncode
        for file in ("Dockerfile", "requirements.txt"):
            shutil.copy(HERE / file, place / file)
        base = ["--build-arg", f"BASE={os.environ['BASE']}"] if "BASE" in os.environ else []
        docker = shutil.which("docker")
        if docker is None:
            print("error: docker is not on the PATH", file=sys.stderr)
            return 1
        return subprocess.run([docker, "build", "--quiet", "--tag", image, *base, place], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
