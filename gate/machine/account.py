"""The account that a command runs as, as the system knows it: what variables say of it, anybody may set."""

from __future__ import annotations

import os
import socket


def whoami() -> str:
    """``account@host`` of this process; an account without a name is its number."""
    return f"{_name()}@{socket.gethostname()}"


def _name() -> str:
    if os.name != "posix":
        try:
            return os.getlogin()  # asks the system there; on POSIX it is who sits at the terminal, if anybody does
        except OSError:
            return "somebody"
    return account_of(os.geteuid())


def account_of(number: int) -> str:
    """The name of an account of this machine, where it has one."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
