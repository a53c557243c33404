"""Publishes into a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gate.errors import OperationFailed
from gate.machine import deadline
from gate.publish.parcel import Parcel


class Folder:
    """A folder of this machine, or one that is mounted here; made where it is not there."""

    def __init__(self, folder: Path, *, within: float) -> None:
        self._folder = folder
        self._within = within

    def publish(self, parcel: Parcel) -> str:
        try:  # what is mounted may be gone, and keeps whoever asks it waiting for ever
            return deadline.within(self._within, "publishing to a folder", lambda: self._put(parcel))
        except deadline.TooLate:
            raise OperationFailed(
                f"{self._folder}: not done within {self._within:g} s",
                next_step="see whether it is mounted and has room",
            ) from None

    def _put(self, parcel: Parcel) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, file in parcel.files.items():
            new = self._folder / f".{name}.new"
            try:
                with file.open("rb") as source, new.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                new.replace(self._folder / name)  # whoever reads sees the old one or the new one, whole
            finally:
                new.unlink(missing_ok=True)
        return str(self._folder / next(iter(parcel.files)))
