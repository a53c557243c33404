"""What is changed in the repository's example files so that they are true on this machine: addresses, folders,
durations, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.remote.server import CADDY, Server

STEPS = '["10% 30s", "50% 30s", "100% 20s"]'
Change = tuple[str, str, str]
"""A file, what it says, and what it says here."""


def in_both(window: datetime) -> list[Change]:
    """Folders of this machine instead of /srv; and what would take days, or the night."""
    opens = window.astimezone(ZoneInfo("Europe/Berlin"))
    return [
        ("base.toml", '"/srv/store/releases"', '"releases"'),
        ("base.toml", '"/srv/store/gate"', '"gate"'),
        ("base.toml", '"15m for 2h"', '"1m for 1m"'),
        ("production.toml", '"02:00-04:00"', f'"{opens:%H:%M}-{opens + timedelta(hours=2):%H:%M}"'),
        ("production.toml", "hours = 24", "hours = 0.001"),
    ]


def on_this_server(server: Server, registry: str, port: int) -> list[Change]:
    """An SSH server and a Docker engine of this machine; the proxy's image is no registry's; a shorter bake."""
    return [
        ("staging.toml", '"registry.example/team/store"', f'"{registry}/store"'),
        ("staging.toml", '"ssh://deploy@${DOCKER_SERVER}:22"', f'"{server.host}"'),
        ("staging.toml", '"caddy:2.11.2"', f'"{CADDY}"'),
        ("staging.toml", '"/srv/store/keys/docker"', f'"{server.place / "key"}"'),
        ("staging.toml", '"environments/known_hosts"', f'"{server.place / "known_hosts"}"'),
        ("staging.toml", '"127.0.0.1:8080"', f'"127.0.0.1:{port}"'),
        ("staging.toml", '["10% 30s", "50% 30s", "100% 2m"]', STEPS),
    ]


def on_this_swarm(socket: Path, registry: str, log: Path, variables: Path) -> list[Change]:
    """A swarm of this machine, its registry, and what its load balancer writes; a shorter bake."""
    return [
        ("production.toml", '"registry.example/team/store"', f'"{registry}/store"'),
        ("production.toml", '"unix:///var/run/docker.sock"', f'"unix://{socket}"'),
        ("production.toml", '"/var/log/nginx/gate.json"', f'"{log}"'),
        ("production.toml", '"/srv/store/store.env"', f'"{variables}"'),
        ("production.toml", 'monitor = "10s"', 'monitor = "2s"'),
        ("production.toml", '["100% 2m"]', '["100% 20s"]'),
    ]


def in_the_stack(registry: str, variables: Path) -> list[Change]:
    """The same in the stack file, and in what its top says is typed."""
    return [
        ("stack.yaml", " /srv/store/store.env registry.example/team/store:", f" {variables} {registry}/store:"),
        ("stack.yaml", "image: registry.example/team/store:", f"image: {registry}/store:"),
        ("stack.yaml", ":-/srv/store/store.env}", f":-{variables}}}"),
    ]


def change(folder: Path, changes: list[Change]) -> None:
    """Each text that is changed stands in its file once."""
    for name, said, here in changes:
        file = folder / name
        text = file.read_text()
        assert text.count(said) == 1, f"{folder.name}/{name} says {said} {text.count(said)} times"
        file.write_text(text.replace(said, here))


def half_an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=30)
