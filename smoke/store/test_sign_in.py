"""Sign-in: nothing else at the till works without it."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]


def test_sign_in(till: Any, app: Any) -> None:
    """A cashier signs in, is known, and signs out; a wrong code is refused"""
    refused = till.sign_in("not-the-training-code")
    assert refused.status_code == 401, f"a wrong code is answered with {refused.status_code}, expected 401"

    signed_in = till.sign_in()
    assert signed_in.status_code == 201, f"the right code is answered with {signed_in.status_code}, expected 201"
    assert signed_in.json()["training"] is True, "the smoke terminal is not in training mode: its sales would count"
    headers = {"Authorization": f"Bearer {signed_in.json()['token']}"}

    session = app.get("/api/session", headers=headers)
    assert session.status_code == 200, f"the new session is answered with {session.status_code}, expected 200"
    assert (session.json()["terminal"], session.json()["cashier"]) == (till.terminal, "smoke"), (
        "somebody else's session"
    )

    app.delete("/api/session", headers=headers)
    ended = app.get("/api/session", headers=headers)
    assert ended.status_code == 401, f"after signing out the session is answered with {ended.status_code}, expected 401"
