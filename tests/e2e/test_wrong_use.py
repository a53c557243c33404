"""Wrong use and bad luck: a clear message, the right exit code, nothing changed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from tests.e2e.sites import FEW_CHECKS, FEW_SMOKE, Site


@pytest.fixture
def site(brief_site: Site) -> Site:
    """Few cases are enough: they stop nothing here."""
    return brief_site


@pytest.fixture
def unchanged(site: Site) -> Iterator[None]:
    before = site.traces()
    yield
    assert site.traces() == before


@pytest.mark.usefixtures("unchanged")
class TestUsage:
    def test_unknown_environment(self, site: Site) -> None:
        ran = site.gate("--version", "1.1.0", name="prodcution")
        assert ran.code == 2
        assert "no environment 'prodcution'; there are: docker, local, production, staging" in ran.told

    def test_unknown_version(self, site: Site) -> None:
        ran = site.deploy("9.9.9")
        assert ran.code == 2
        assert "9.9.9" in ran.told
        assert "1.1.0" in ran.told

    @pytest.mark.parametrize("version", ["v1; rm -rf /", "$(reboot)", "../../etc", "1.1", "1.1.0+a b", "1.1.0\n", ""])
    def test_version_that_is_none(self, site: Site, version: str) -> None:
        ran = site.deploy(version)
        assert ran.code == 2, ran.told
        assert "--version" in ran.told or "is not a version" in ran.told

    def test_broken_toml(self, site: Site) -> None:
        with edited(site, lambda text: text + "\n[app\n"):
            ran = site.deploy("1.1.0")
        assert ran.code == 2
        assert "environments/local.toml: not valid TOML" in ran.told

    def test_unknown_key(self, site: Site) -> None:
        with edited(site, lambda text: text.replace("[cache]\n", "[cache]\nulr = 1\n")):
            ran = site.deploy("1.1.0")
        assert ran.code == 2
        assert "environments/local.toml: [cache] ulr: unknown key" in ran.told

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            (FEW_SMOKE, '["smokes"]', "[smoke] folders: smokes does not exist"),
            ("example/store/invariants.sql", "none.sql", "[database] invariants: none.sql does not exist"),
            ("smoke/store/synthetic.py", "none.py", "[traffic] synthetic: none.py does not exist"),
            ('"{socket}"', '"{sokcet}"', "{sokcet} is unknown"),
            ("[A-Za-z0-9_-]{24,}", "(", "not a regular expression"),
        ],
    )
    def test_what_leads_nowhere_is_told_before_anything(self, site: Site, old: str, new: str, told: str) -> None:
        with edited(site, lambda text: text.replace(old, new)):
            ran = site.deploy("1.1.0")
        assert ran.code == 2, ran.told
        assert told in ran.told
        assert "environments/local.toml" in ran.told

    def test_missing_secrets(self, site: Site) -> None:
        ran = site.gate("--version", "1.1.0", name="production")
        assert ran.code == 2
        assert "[database] url: DATABASE_URL is not set" in ran.told
        assert "export DATABASE_URL=" in ran.told


@contextmanager
def edited(site: Site, change: object) -> Iterator[None]:
    file = site.root / "environments" / "local.toml"
    text = file.read_text()
    assert callable(change)
    file.write_text(change(text))
    try:
        yield
    finally:
        file.write_text(text)


def test_second_gate_at_the_same_time(site: Site) -> None:
    before = site.traces()
    with edited(site, lambda text: text.replace(FEW_CHECKS, '["checks"]')):  # so that they take their time
        first = site.start("--version", "1.1.0", "--dry-run", "--again", "a test")
        try:
            assert wait_until(lambda: bool(site.gate("status").document.get("lock")), timeout=30)
            second = site.deploy("1.1.0")
            assert second.code == 5
            assert re.search(r"dry run of 1\.1\.0 by \S+@\S+ \(process \d+\) since", second.told)
        finally:
            out, err = first.communicate(timeout=120)
    assert Site.read(first.returncode, out, err).code == 0, err
    assert site.traces() == before


def without(text: str, port: str) -> str:
    """The environment with a server that nobody answers for, and the checks that ask it."""
    text = text.replace(FEW_CHECKS, f'["checks/test_environment.py", {FEW_CHECKS[1:]}')
    return text.replace(f"127.0.0.1:{port}/", "127.0.0.1:9/")


def test_database_down(site: Site) -> None:
    with edited(site, lambda text: without(text, _port(site, "postgres"))):
        ran = site.deploy("1.1.0")
    assert ran.code == 3
    assert "database" in ran.reasons.lower()
    assert site.serving() == "1.1.0"


def test_cache_down(site: Site) -> None:
    with edited(site, lambda text: without(text, _port(site, "cache"))):
        ran = site.deploy("1.1.0")
    assert ran.code == 3
    assert "cache" in ran.reasons.lower()
    assert site.serving() == "1.1.0"


def test_taken_port(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with edited(site, lambda text: text.replace(f"port = {_port(site, 'cache')}", f"port = {port}")):
            ran = site.gate("up", name="local")
    assert ran.code != 0
    assert "environments/local.toml" in ran.told
    assert "[stack.cache] port" in ran.told
    assert site.serving() == "1.1.0"
    assert site.gate("up").code == 0


def _port(site: Site, server: str) -> str:
    text = (site.root / "environments" / "local.toml").read_text()
    found = re.search(rf"^{server} = {{ port = (\d+) }}", text, re.M)
    assert found
    return found[1]


def test_no_room_for_the_backup(site: Site) -> None:
    folder = site.state / "backups"
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        timeout=10,
        check=False,
    )
    if mounted.returncode:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(f"a full disk could not be made: {mounted.stderr!r}")
        pytest.skip("only root can make a full disk")
    try:
        before = site.traces()
        ran = site.deploy("1.1.0")
        assert ran.code == 3, ran.told
        assert "free" in ran.reasons
        assert list(folder.iterdir()) == []
        assert site.traces() == before
    finally:
        subprocess.run(["/bin/umount", str(folder)], timeout=10, check=True)
