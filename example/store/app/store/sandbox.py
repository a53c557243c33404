"""A payment processor to practise with: it lives in this process, keeps nothing and moves no money.

It answers as a real one would, the same to the same key, and declines by the card number's last digits.
"""

from __future__ import annotations

import hashlib

DECLINED_ENDINGS = {"0002": "declined by the bank", "0069": "the card has expired", "9995": "not enough funds"}


class DeclinedError(Exception):
    """The processor says no; the message says why."""


def authorise(idempotency_key: str, card_number: str) -> str:
    """Reserves the money and returns the authorisation's id. Raises DeclinedError."""
    if reason := DECLINED_ENDINGS.get(card_number[-4:]):
        raise DeclinedError(reason)
    return _reference("auth", idempotency_key)


def capture(authorisation: str) -> str:
    """Takes the reserved money and returns the capture's id."""
    return _reference("capt", authorisation)


def refund(idempotency_key: str, captured: str) -> str:
    """Gives captured money back and returns the refund's id."""
    return _reference("rfnd", f"{captured}:{idempotency_key}")


def _reference(kind: str, of: str) -> str:
    return f"{kind}_{hashlib.sha256(of.encode()).hexdigest()[:20]}"
