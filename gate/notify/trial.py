"""What ``notify`` does: a test message to every target, and who of them answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gate.config import Environment
from gate.errors import OperationFailed, UsageError
from gate.notify import Notifier
from gate.notify.message import test

Document = dict[str, Any]


def trial(environment: Environment, say: Callable[[str], None], by: str, at: datetime) -> Document:
    """Returns the JSON document. Raises UsageError without a target, OperationFailed when one did not answer."""
    known = environment.notify.targets
    next_step = f"edit {environment.file.relative_to(environment.root)}; docs/notifications.md has examples"
    if not known:
        raise UsageError(f"{environment.name} tells nobody: [notify] has no targets", next_step=next_step)
    notifier = Notifier(environment)
    notifier.send(test(environment, at, by))
    done = {delivery.target: delivery for delivery in notifier.settle()}
    rows: list[Document] = []
    for name, target in known.items():
        delivery = done.get(name)
        state = "off" if delivery is None else "told" if delivery.arrived else "failed"
        detail = "its address is empty" if delivery is None else delivery.fault or ""
        rows.append({"target": name, "kind": target.kind, "state": state, "detail": detail})
        say(f"{name:<16}{target.kind:<10}{state:<8}{detail}".rstrip())
    failed = [f"{row['target']}: {row['detail']}" for row in rows if row["state"] == "failed"]
    if failed:
        raise OperationFailed("\n".join(failed), next_step=f"mend [notify.targets.{failed[0].partition(':')[0]}]")
    return {"targets": rows}
