"""A project that deploys by one of the recipes, as it is but for what a person changes in it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from gate.machine.shell import wait_until
from tests.engine.site import folder
from tests.everywhere.grounds import Processes
from tests.everywhere.project import CHECK, HOUSE, HOUSE_SMOKE, RULES, SMOKE, Project
from tests.recipes.server import RECIPES, Server, disconnected
from tests.swarm.book import book
from tests.team.users import Bill, ordering

APP = Path(__file__).with_name("app.py")
_STEPS = 'steps = ["10% 2m", "50% 2m", "100% 5m"]'
"""What the recipe says; nobody waits that long here."""


class Recipe(Project):
    """The project, its server, and what a person would do and look at."""

    recipe: str
    server: Server

    def write(
        self,
        *,
        start_timeout: str = "30s",
        steps: str = '"50% 10s", "100% 3s"',
        cpu: float = 0,  # noqa: ARG002 - the recipe's units limit it
    ) -> None:
        text = (RECIPES / self.recipe / "environment.toml").read_text()
        if _STEPS in text:
            text = text.replace(_STEPS, f"steps = [{steps}]")
        assert f'start_timeout = "{start_timeout}"' in text
        (self.root / "environments" / "local.toml").write_text(f"{text}\n{RULES}")

    def offer(self, version: str, fault: str = "") -> None:
        Processes().offer(self, version, fault)

    def files(self, place: Path, version: str, fault: str) -> list[str]:
        shutil.copy(APP, place / "app.py")
        for name, text in (("name", version), ("fault", fault), ("book", self.book.address)):
            (place / name).write_text(text)
        return ["app.py", "name", "fault", "book"]

    def sent_again(self) -> int:
        return 0

    def ordering(self, *, arriving: bool = False) -> AbstractContextManager[Bill]:
        return ordering(self, arriving=arriving)

    def only(self, version: str) -> None:
        """One release serves, its unit is the only one that runs, and nothing is unfinished or left on the server."""
        assert self.serving() == version
        assert wait_until(lambda: self.server.running() == [version], timeout=10), self.server.running()
        self.known(version)
        assert wait_until(lambda: not self.server.followers(), timeout=10), self.server.followers()
        assert self.shared() == "", "nobody has a share"

    def shared(self) -> str:
        """Below which random number a request is the candidate's; empty where there is none."""
        return self.server.run("cat", "/srv/store/below")


@contextmanager
def project(recipe: str, server: Server, outside: str) -> Iterator[Recipe]:
    """An empty one. ``outside``: this machine's address, as the server sees it."""
    with folder() as root, book(outside) as orders:
        url = f"http://127.0.0.1:{server.web}"
        made = Recipe(root, url, _variables(root, url, server))
        made.recipe, made.server, made.book = recipe, server, orders
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for name in ("environments", "checks", "smoke", "releases"):
            (root / name).mkdir()
        for name in HOUSE_SMOKE:
            shutil.copy(HOUSE / "smoke" / name, root / "smoke" / name)
        (root / "checks" / "test_made_up.py").write_text(textwrap.dedent(CHECK))
        (root / "smoke" / "test_order.py").write_text(textwrap.dedent(SMOKE))
        shutil.copytree(RECIPES / recipe / "deploy", root / "deploy")
        config = root / "deploy" / "ssh_config"
        config.write_text(server.to_ssh_config(config.read_text()))
        made.write()
        try:
            yield made
        finally:
            disconnected(config)


def _variables(root: Path, url: str, server: Server) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(HOUSE),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(root),  # programs of the recipe keep things there
        "FRONTEND_URL": url,
        "DOOR_TOKEN": server.run("cat", "/etc/store/door.env").strip().partition("=")[2],
    }
