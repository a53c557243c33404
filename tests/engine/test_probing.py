"""Counting who is connected to a service's socket."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from gate.engines import probing
from gate.routing.dial import Address
from tests.engine.site import folder


def test_a_connection_that_has_ended_is_not_counted_once_the_service_has_noticed() -> None:
    with folder() as place, socket.socket(socket.AF_UNIX) as listener:
        (place / "r1").mkdir()
        address = Address(place / "r1" / "web.sock")
        listens = place / "r1" / "web.sock"
        listener.bind(str(listens))
        listener.listen()
        waiting = connected(listens)
        working, _ = listener.accept()
        ours = connected(listens)
        busy, _ = listener.accept()
        ours.close()
        assert probing.connections(address) == 2  # the service is too busy to see that one is gone
        notices = threading.Timer(0.1, busy.close)
        notices.start()
        assert probing.connections(address, at_most=1) == 1
        assert probing.connections(address, at_most=0) == 1  # a real one stays, whatever the service says of itself
        notices.join()
        waiting.close()
        working.close()
        assert probing.connections(address, at_most=0) == 0


def connected(listens: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(listens))
    return made
