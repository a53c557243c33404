"""The shop in containers: a project of its own whose local environment runs images on the tests' Docker engine."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.sites import Site, make_site

_COMMAND = """command = [
  "{python}", "-m", "uvicorn", "store.main:app", "--host", "{host}", "--port", "{port}",
"""


def shop(folder: Path, host: str, *, steps: str = "[]") -> Site:
    """A site whose servers are this machine's; ``BASE`` and the build's engine come from its variables."""
    site = make_site(folder, steps=steps)
    file = site.root / "environments" / "local.toml"
    text = file.read_text()
    for pattern, new in (
        (
            r'kind = "process"',
            f'kind = "docker"\nhost = "{host}"\nnetwork = "host"\nmounts = ["{{state}}/backups:/backups:ro"]',
        ),
        (
            r"(?m)^build = .*$",
            'image = "store"\nbuild = ["{python}", "example/store/image.py", "{version}", "{image}:{tag}"]',
        ),
        (r'command = \[\n  "\{python\}", "-m", "uvicorn"[^\n]*\n', _COMMAND),
        (r'(?m)^digest = "/version#digest"\n', ""),
        (r'"\{state\}/backups/latest\.json"', '"/backups/latest.json"'),
    ):
        text, found = re.subn(pattern, lambda _, new=new: new, text)  # type: ignore[misc]
        assert found == 1, f"environments/local.toml: {pattern} is there {found} times"
    file.write_text(text)
    site.environment |= {"DOCKER_HOST": host, "BASE": "gate-test-python:1"}
    return site
