"""Builds a release of the shop as an image: `build.py` makes its folder, the Dockerfile beside this file the rest.

    python example/store/image.py 1.1.0 store:1.1.0
    python example/store/image.py 1.1.0 registry.example/team/store:1.1.0 --push

With --push it is in the registry afterwards, or nowhere: an image that no registry has keeps no name here, so
that the next time it is built again. The base image is BASE, or the Dockerfile's own; the engine, DOCKER_HOST's,
pushes with the login of whoever runs this (`docker login`). Exit codes: as build.py's, and 1 when Docker cannot build
or push it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.resolve()
WITHIN = 900.0  # seconds for each command


def main(arguments: list[str]) -> int:
    push = "--push" in arguments
    names = [word for word in arguments if word != "--push"]
    if len(names) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    docker = shutil.which("docker")
    if docker is None:
        print("error: docker is not on the PATH", file=sys.stderr)
        return 1
    code = build(docker, *names)
    if code or not push:
        return code
    pushed = ended(docker, "push", "--quiet", names[1])
    if pushed:
        ended(docker, "image", "rm", names[1], told=subprocess.DEVNULL)
    return min(pushed, 1)


def ended(*argv: str | Path, told: int | None = None) -> int:
    """The exit code of a command; 1, and said so, where it takes too long. ``told``: where its output goes."""
    try:
        return subprocess.run(argv, check=False, timeout=WITHIN, stdout=told).returncode
    except subprocess.TimeoutExpired:
        print(f"error: {Path(argv[0]).name} {argv[1]} did not end within {WITHIN:g} s", file=sys.stderr)
        return 1


def build(docker: str, version: str, image: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        made = ended(sys.executable, HERE / "build.py", version, "--into", place / "release")
        if made:
            return made
        for file in ("Dockerfile", "requirements.txt"):
            shutil.copy(HERE / file, place / file)
        base = ["--build-arg", f"BASE={os.environ['BASE']}"] if "BASE" in os.environ else []
        return ended(docker, "build", "--quiet", "--tag", image, *base, place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
