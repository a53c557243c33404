"""What the store needs of the place it writes to."""

from __future__ import annotations

from typing import Protocol

import sqlalchemy as sa

from gate.errors import OperationFailed


class Place(Protocol):
    """A database for the gate's records, with their schema as this version of the gate knows it."""

    @property
    def lasting(self) -> bool:
        """Whether what is written there is still there when this process has ended."""
        ...

    def open(self) -> sa.Engine:
        """Makes the place if it is not there, and migrates its schema. Raises OSError and SQLAlchemy's errors, and
        OperationFailed for records that a newer gate has written."""
        ...

    def unusable(self, fault: Exception) -> OperationFailed:
        """What a fault of it means, and what to do about it."""
        ...
