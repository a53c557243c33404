"""Takes from the gate what only POSIX has, in this process and in every child with this folder on PYTHONPATH.

Python's own library and the packages keep all of it: on another system they have their own ways. So this shows that the
gate's code asks for nothing that is not there; it does not show how the packages behave there.
"""

from __future__ import annotations

import builtins
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

OURS = {"gate", "fixtures", "deploy_gate"}
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty"}
OS = """
    chown chroot confstr ctermid EX_OK fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid
    geteuid getgid getgrouplist getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid
    initgroups killpg lchown lockf major makedev memfd_create minor mkfifo mknod nice O_CLOEXEC O_DIRECTORY
    O_DSYNC O_NOFOLLOW O_NONBLOCK O_SYNC openpty P_ALL P_PGID P_PID P_PIDFD pathconf pidfd_open pipe2
    posix_fadvise posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork
    sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority
    setregid setresgid setresuid setreuid setsid setuid statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname
    wait wait3 wait4 waitid WCONTINUED WEXITED WIFEXITED WIFSIGNALED WNOHANG WNOWAIT WSTOPPED WTERMSIG WUNTRACED
    writev
"""
SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
SIGNAL = """
    alarm getitimer pause pthread_kill pthread_sigmask setitimer SIG_BLOCK SIG_SETMASK SIG_UNBLOCK siginterrupt
    sigpending sigtimedwait sigwait sigwaitinfo
"""
SOCKET = ["AF_UNIX", "CMSG_LEN", "SO_PEERCRED", "SO_REUSEPORT", "recv_fds", "send_fds"]
SELECT = ["epoll", "poll"]


class Popen(subprocess.Popen[Any]):
    """As elsewhere: neither descriptors nor code go to a child."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if options.get("pass_fds") or options.get("preexec_fn"):
            raise ValueError("not supported on this platform")
        super().__init__(*arguments, **options)


def without(module: ModuleType, names: Sequence[str], **instead: object) -> ModuleType:
    """A module that lacks some names and has others changed."""
    made = ModuleType(module.__name__, module.__doc__)
    vars(made).update({name: value for name, value in vars(module).items() if name not in set(names)})
    vars(made).update(instead)
    return made


CHANGED = {
    "os": without(os, OS.split(), name="nt"),
    "select": without(select, SELECT),
    "signal": without(
        signal, [*SIGNAL.split(), *(item for item in vars(signal) if item.startswith("SIG") and item[3].isalpha())]
    ),
    "socket": without(socket, SOCKET),
    "subprocess": without(subprocess, [], Popen=Popen),
}
vars(CHANGED["signal"]).update({name: getattr(signal, name) for name in SIGNALS})
_real = builtins.__import__


def _import(
    name: str,
    namespace: Mapping[str, object] | None = None,
    local: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    told = namespace or {}
    who = str(told.get("__package__") or told.get("__name__") or "").partition(".")[0]
    script = str(told.get("__file__") or "").endswith("deploy_gate.py")
    if who not in OURS and not script:
        return _real(name, namespace, local, fromlist, level)
    top = name.partition(".")[0]
    if level == 0 and top in MODULES:
        raise ModuleNotFoundError(f"No module named {top!r}", name=top)
    found = _real(name, namespace, local, fromlist, level)
    return CHANGED[found.__name__] if level == 0 and found.__name__ in CHANGED else found


builtins.__import__ = _import  # type: ignore[assignment]  # its names of arguments hide builtins
