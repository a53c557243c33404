"""Tells people and machines what happens. It never blocks a run, never changes an outcome, and says what did not work.

Every message is sent by a thread of its own to every target that wants it, from the moment it is known. At its end a
command waits for what is still on its way, for as long as ``[notify] timeout`` says and no longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gate.config import Environment
from gate.config.notifying import Occasion, Target
from gate.errors import OperationFailed
from gate.notify.message import Message, without_secrets

PATIENCE = 5.0
"""Seconds for one attempt with its answer; for a mail, for each answer of its server."""
GIVE_UP = 120.0
"""Seconds after which a message is not tried any more, while the command still runs."""

Note = Callable[[str], None]


@dataclass
class Delivery:
    """One message on its way to one target.

    ``fault``: why it did not arrive; None while that is open, and if it did. ``last``: what the last attempt came to.
    """

    target: str
    message: Message
    fault: str | None = None
    last: str = "no answer"
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def arrived(self) -> bool:
        return self.ended.is_set() and self.fault is None

    @property
    def told(self) -> str:
        """What a person should know of it, if it did not arrive."""
        return f"{self.target} was not told ({self.message.event}: {self.message.title}): {self.fault}"


class Notifier:
    """Sends messages to the targets of one environment; no call raises or waits, except ``settle``, which waits.

    ``patience``: how long one attempt may wait for an answer, in seconds.
    """

    def __init__(self, environment: Environment, *, patience: float = PATIENCE) -> None:
        self._environment = environment
        self._patience = patience
        self._deliveries: list[Delivery] = []

    def send(self, message: Message) -> None:
        """Sends a message to every target that wants it; what an earlier one is still tried for is given up."""
        clean = without_secrets(message, self._environment.redactor)
        wanted = {
            name: target
            for name, target in self._environment.notify.targets.items()
            if target.on and (message.event in target.events or message.event is Occasion.TEST)
        }
        for delivery in self._deliveries:
            if delivery.target in wanted:  # nobody wants to hear that it began once it has ended
                delivery.stop.set()
        for name, target in wanted.items():
            delivery = Delivery(name, clean)
            self._deliveries.append(delivery)
            thread = threading.Thread(target=self._deliver, args=(delivery, target), name=f"notify {name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as fault:  # no more threads
                delivery.fault = str(fault)
                delivery.ended.set()

    def settle(self) -> list[Delivery]:
        """Waits for what is on its way, as long as ``[notify] timeout`` says; every message to every target so far."""
        seconds = self._environment.notify.timeout
        deadline = time.monotonic() + seconds
        for delivery in self._deliveries:
            if not delivery.ended.wait(max(0.0, deadline - time.monotonic())):
                delivery.fault = f"{delivery.last}; given up after {seconds:g} s at the command's end"
                delivery.stop.set()
        done, self._deliveries = self._deliveries, []
        return done

    def _deliver(self, delivery: Delivery, target: Target) -> None:
        from gate.notify import targets
        from gate.publish.attempts import Again, Client

        def pause(seconds: float) -> None:
            if delivery.stop.wait(seconds):
                raise OperationFailed(f"{delivery.last}; given up for a newer message")

        client = Client(GIVE_UP, question=self._patience, pause=pause)

        def once() -> None:
            try:
                targets.tell(target, delivery.message, client, self._patience)
            except Again as fault:
                delivery.last = str(fault)
                raise

        fault = None
        try:
            client.patiently("no success", once)
        except OperationFailed as refused:
            fault = self._environment.redactor(str(refused))
        except Exception as defect:  # noqa: BLE001 - nobody is there to catch it; it is told
            fault = self._environment.redactor(f"a defect of the gate: {type(defect).__name__}: {defect}")
        if not delivery.stop.is_set() or delivery.fault is None:
            delivery.fault = fault
        delivery.ended.set()


def say_failures(done: list[Delivery], note: Note) -> list[str]:
    """Tells what did not arrive; returns the same."""
    texts = [delivery.told for delivery in done if not delivery.arrived]
    for text in texts:
        note(text)
    return texts
