"""Age verification: who may buy restricted goods. A mistake here costs the licence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.critical]

# 21 years are 7670 or 7671 days. Two days apart, so that the shop's midnight need not be ours.
OLD_ENOUGH = timedelta(days=7673)
TOO_YOUNG = timedelta(days=7668)


def proof(age: timedelta) -> dict[str, str]:
    return {"kind": "id_card", "birth_date": (date.today() - age).isoformat()}


def test_age_is_refused(till: Any) -> None:
    """Without proof of age, or under 21, nothing restricted is sold, and the refusal is recorded"""
    unproven = till.order("wine-red")
    young = till.order("wine-red", age_proof=proof(TOO_YOUNG))
    for order, code in ((unproven, "age_proof_required"), (young, "under_age")):
        refused = till.sell(order, expect=403)
        assert refused["code"] == code, f"refused as {refused['code']}, expected {code}"
        till.ask("GET", f"/api/sales/{order['order_id']}", expect=404)
    recorded = {refusal["order_id"]: refusal["reason"] for refusal in till.ask("GET", "/api/age-refusals")["refusals"]}
    for order, code in ((unproven, "age_proof_required"), (young, "under_age")):
        assert recorded.get(order["order_id"]) == code, f"the refusal ({code}) was not recorded"


def test_age_is_accepted(till: Any) -> None:
    """At 21, restricted goods are sold"""
    till.sell(till.order("beer-lager", age_proof=proof(OLD_ENOUGH)))
