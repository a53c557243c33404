"""Becomes a command that dies with the process that started it, however that ends: ``python tied.py PARENT COMMAND …``.

A dump that goes on after its gate was killed fills a disk that nobody can clear, and keeps locks on the live database.
Linux alone knows this; only the standard library is imported, for ``shell`` runs this file by itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG; holds across the exec


def main(parent: str, *command: str) -> None:
    """Does not return. Ends the process where the parent is gone already, or the command cannot be started."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("whoever started this is gone")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would the command
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - the whole point: this process becomes it
    except OSError as fault:
        sys.exit(f"{command[0]}: could not be started: {fault.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
