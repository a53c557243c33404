"""Makes a server of this machine's loopback reachable at another of its addresses, which containers know it by."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 65536


@contextmanager
def relay(listen: str, to: tuple[str, int]) -> Iterator[int]:
    """The port at the address ``listen`` that leads there while the block runs."""
    with socket.create_server((listen, 0), backlog=128) as door:
        threading.Thread(target=_accept, args=(door, to), daemon=True).start()
        yield int(door.getsockname()[1])
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)


def _accept(door: socket.socket, to: tuple[str, int]) -> None:
    with suppress(OSError):
        while True:
            near, _ = door.accept()
            try:
                far = socket.create_connection(to, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
