"""The shop in containers: a project of its own whose local environment is environments/docker.toml, on free ports."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.sites import Site, few_cases, make_site

_DEFAULT_HOST = "unix:///var/run/docker.sock"


def shop(folder: Path, host: str) -> Site:
    """A site with few cases whose servers are this machine's; ``BASE`` and the build's engine are the tests'."""
    site = make_site(folder)
    few_cases(site)
    environments = site.root / "environments"
    (environments / "local.toml").rename(environments / "here.toml")
    here = environments / "here.toml"
    servers = here.read_text()
    assert 'start_timeout = "10s"' in servers  # a container starts slowly where two of everything start at once
    here.write_text(servers.replace('start_timeout = "10s"', 'start_timeout = "60s"'))
    text = (environments / "docker.toml").read_text()
    assert text.count('extends = "local.toml"') == text.count(_DEFAULT_HOST) == 1
    text = text.replace("local.toml", "here.toml").replace(_DEFAULT_HOST, host)
    (environments / "local.toml").write_text(text)
    site.environment |= {"DOCKER_HOST": host, "BASE": "gate-test-python:1"}
    return site
