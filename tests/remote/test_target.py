"""Why a server could not be reached: its key is called unknown only where the user's own SSH would not know it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gate.config import DockerSettings
from gate.machine import shell
from gate.remote.target import Target

PROD = Target("prod", None, None, "/s", None, None, None)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file says where prod is, and what is known of it; ssh reads that of the account, so it is told."""
    (tmp_path / "known").touch()
    (tmp_path / "everybodys").touch()
    (tmp_path / "config").write_text(
        f"Host prod\nHostName 10.1.2.3\nPort 2222\n"
        f"UserKnownHostsFile {tmp_path}/known\nGlobalKnownHostsFile {tmp_path}/everybodys\n"
    )
    real, own = shutil.which("ssh"), tmp_path / "bin" / "ssh"
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/config "$@"\n')
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(own.parent), prepend=":")
    return tmp_path


def key_of(name: str, place: Path) -> str:
    subprocess.run(
        [shutil.which("ssh-keygen") or "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / "key")],
        check=True,
        timeout=20,
    )
    return f"{name} {' '.join((place / 'key.pub').read_text().split()[:2])}\n"


def test_what_is_to_be_scanned_is_where_the_users_own_file_leads(configured: Path) -> None:
    refused = PROD.refused("it hangs up")
    assert "the key of [10.1.2.3]:2222 is not known" in str(refused)
    assert str(refused.next_step).startswith(f"ssh-keyscan -p 2222 10.1.2.3 >> {configured}/known ")


@pytest.mark.parametrize("file", ["known", "everybodys"])
def test_a_server_that_is_known_by_its_real_name_is_not_called_unknown(configured: Path, file: str) -> None:
    (configured / file).write_text(key_of("[10.1.2.3]:2222", configured))
    refused = PROD.refused("it hangs up")
    assert str(refused) == "no SSH connection to prod: it hangs up"
    assert refused.next_step == "see that this works: ssh prod true"


def test_a_key_that_is_kept_under_another_name(configured: Path) -> None:
    with (configured / "config").open("a") as stream:
        stream.write("HostKeyAlias shop\n")
    assert "| sed 's/^[^ ]*/shop/' >> " in str(PROD.refused("it hangs up").next_step)
    (configured / "known").write_text(key_of("shop", configured))
    assert "is not known" not in str(PROD.refused("it hangs up"))


def test_the_port_of_the_address_comes_before_that_of_the_file(configured: Path) -> None:
    refused = Target("prod", 22, None, "/s", None, None, configured / "own").refused("it hangs up")
    assert str(refused.next_step).startswith(f"ssh-keyscan 10.1.2.3 >> {configured}/own ")


@pytest.mark.parametrize("file", ["none", "/dev/null"])
def test_nobody_is_sent_to_a_file_that_keeps_nothing(configured: Path, file: str) -> None:
    config = configured / "config"
    config.write_text(config.read_text().replace(f"{configured}/known", file))
    refused = PROD.refused("it hangs up")
    assert "keeps no file of known servers" in str(refused)
    assert "[engine] known_hosts" in str(refused.next_step)


def test_a_key_that_all_users_know_counts_where_the_user_keeps_none(configured: Path) -> None:
    config = configured / "config"
    config.write_text(config.read_text().replace(f"{configured}/known", "/dev/null"))
    (configured / "everybodys").write_text(key_of("[10.1.2.3]:2222", configured))
    assert str(PROD.refused("it hangs up")) == "no SSH connection to prod: it hangs up"


def test_who_stands_between_may_be_the_one_who_refuses(configured: Path) -> None:
    with (configured / "config").open("a") as stream:
        stream.write("ProxyJump jump.example\n")
    refused = Target("prod", None, "deploy", "/s", configured / "key", None, None).refused("it hangs up")
    assert refused.next_step == f"see that this works: ssh -i {configured}/key deploy@prod true"


def test_a_name_is_as_it_was_written() -> None:
    def named(host: str) -> tuple[str, str | None, int | None]:
        target = Target.of(DockerSettings(kind="docker", host=host))
        return target.name, target.user, target.port

    assert named("ssh://Shop") == ("Shop", None, None)
    assert named("ssh://deploy@Shop:2222") == ("Shop", "deploy", 2222)


def test_a_file_whose_path_has_spaces(configured: Path) -> None:
    file = configured / "100% of our own"
    target = Target("prod", None, None, "/s", None, None, file)
    asked = shell.run(["ssh", "-G", *target.options(None), "prod"], timeout=20)
    assert f"userknownhostsfile {file}\n" in asked.out
    assert f">> '{file}' " in str(target.refused("it hangs up").next_step)
    file.write_text(key_of("[10.1.2.3]:2222", configured))
    assert "is not known" not in str(target.refused("it hangs up"))
