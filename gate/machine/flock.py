"""The kernel's lock on an open file: it dies with its holder, however that dies.

On POSIX it is ``flock``, which a child that keeps the file open holds too. Elsewhere it is what filelock takes there:
of one process alone, and never shared.
"""

from __future__ import annotations

from gate.machine.shell import wait_until


def exclusive(descriptor: int, *, wait: bool = False) -> bool:
    """Takes it; whether that was possible. ``wait``: for as long as somebody else has it."""
    try:
        import fcntl
    except ImportError:
        from filelock import lock_descriptor

        return lock_descriptor(descriptor, blocking=wait)
    return _taken(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def shared(descriptor: int) -> bool:
    """Takes it together with others that only look; whether nobody has it for himself."""
    try:
        import fcntl
    except ImportError:  # another that looks has it for a moment, for himself
        return wait_until(lambda: exclusive(descriptor), timeout=0.2, every=0.02)
    return _taken(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _taken(descriptor: int, how: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True
