"""The gate's way of ``rollouts``: a project with its docker engine, one check, one smoke test, and a watch."""

from __future__ import annotations

import json
import shutil
from datetime import datetime

from benchmarks.rollouts import IMAGE, WATCH, Host, Outcome
from gate.errors import ShellError
from tests.commands.little import CASE, HOUSE
from tests.e2e.sites import Ran, Site
from tests.team.conftest import SMOKE

ENVIRONMENT = """
app = {{ name = "shop", url = "{url}" }}
releases = {{ source = "releases", image = "{image}" }}
engine = {{ kind = "docker", host = "{host}" }}
traffic = {{ listen = "127.0.0.1:{port}", steps = [] }}
checks = {{ folders = ["checks"] }}
smoke = {{ folders = ["smoke"] }}

[services.web]
command = ["python3", "-m", "uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000", "--log-level", "warning"]
port = 8000
route = "/"
health = "/health"
ready = "/ready"
in_flight = "/health#in_flight"
identity = "/version#version"
stop_grace = "5s"
limits = {{ cpu = 1.0, memory = "256M" }}
env = {{ VERSION = "{{version}}", ORDERS = "/tmp/orders" }}
"""


class Gate:
    """``deploy_gate.py ENV --version V``, and its rollback."""

    name = "this gate"

    def __init__(self, host: Host) -> None:
        root = host.folder / "gate"
        self._host = host
        self._site = Site(root, host.front, host.environment | {"PYTHONPATH": str(HOUSE)})
        for name, text in (
            ("environments/local.toml", self._table(host)),
            ("checks/test_made_up.py", CASE),
            ("smoke/test_identity.py", SMOKE),
        ):
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text, encoding="utf-8")
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")

    def up(self, version: str) -> str:
        self._expect(self._site.gate("up"), 0)
        self._expect(self._site.deploy(version), 0)
        # Only from now on there are users to watch.
        file = self._site.root / "environments" / "local.toml"
        file.write_text(file.read_text().replace("steps = []", f'steps = ["100% {WATCH}s"]'))
        return self._site.url

    def deploy(self, version: str) -> Outcome:
        ran = self._expect(self._site.deploy(version), 0, 1)
        return Outcome(kept=ran.code == 0, decided=self._decided(ran) if ran.code else None)

    def rollback(self, version: str) -> None:
        self._expect(self._site.gate("rollback", "--to", version), 1)

    def down(self) -> None:
        if self._site.gate("status").document.get("held"):
            self._site.gate("rollback")
        self._site.gate("down")
        mine = f"label=deploy-gate.state={self._site.state.resolve()}"
        left = self._host.docker("ps", "--all", "--quiet", "--filter", mine).split()
        if left:
            self._host.docker("rm", "--force", *left)

    def _decided(self, ran: Ran) -> float:
        record = json.loads((self._site.root / ran.document["report"]).with_name("decision.json").read_text())
        return datetime.fromisoformat(record["decided_at"]).timestamp()

    @staticmethod
    def _table(host: Host) -> str:
        return ENVIRONMENT.format(url=host.front, image=IMAGE, host=host.url, port=host.port)

    @staticmethod
    def _expect(ran: Ran, *codes: int) -> Ran:
        if ran.code not in codes:
            raise ShellError(f"exit code {ran.code}: {ran.reasons or ran.told}")
        return ran
