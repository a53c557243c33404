"""How the shop says no: a status, a code for programs and a sentence for people."""

from __future__ import annotations


class RefusedError(Exception):
    """The request is understood and refused. Answered as {"code", "message"} with `status`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
