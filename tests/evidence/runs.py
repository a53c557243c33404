"""Runs of a made-up environment that have their records, and nothing else: for what is told of them afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gate import environments
from gate.deployment.run import Run
from gate.deployment.view import Silent
from gate.engines.process import ProcessEngine
from gate.machine.interrupt import Interrupts
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.releases import Release

ENVIRONMENT = """
app = { name = "made-up", url = "http://127.0.0.1:1" }
releases = { source = "releases" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:18999" }
checks = { folders = ["checks"] }
smoke = { folders = ["smoke"] }

[services.web]
command = ["true"]
route = "/"
health = "/health"
identity = "/version#version"
"""


def made_run(root: Path, *, action: str = "deploy", version: str = "1.1.0", clock: Any = None) -> Run:
    """A run that has just begun; the next one in the same folder has the next number."""
    file = root / "environments" / "here.toml"
    if not file.exists():
        file.parent.mkdir(parents=True)
        file.write_text(ENVIRONMENT, encoding="utf-8")
    environment = environments.load("here", root)
    clocks = {"clock": clock} if clock is not None else {}
    store = Store(SqliteFile(root / "gate.db"), **clocks)
    named: dict[str, Any] = {"version": version, "digest": f"sha256:{version}", "folder": "f", "by": "me@here"}
    number = store.begin(action=action, commit=None, stable_version=None, stable_instance=None, **named)
    return Run(
        environment=environment,
        engine=ProcessEngine(environment),
        store=store,
        view=Silent(),
        interrupts=Interrupts(lambda: None),
        release=Release(version, f"sha256:{version}", None, root, None),
        stable=None,
        deployment=number,
        action=action,
        by="me@here",
        folder=root / "runs" / str(number),
        reports=root / "reports" / "here" / str(number),
        **clocks,
    )
