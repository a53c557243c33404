"""Lines as the proxy writes them, and a log that is rotated the way its logger does it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

ORIGIN = 1_800_000_000.0


def line(at: float = 0.0, *, instance: str | None = "r2", status: int = 200, path: str = "/", **changes: Any) -> str:
    """One request; ``instance`` None: nobody was dialled. ``changes`` replace whole keys."""
    entry: dict[str, Any] = {
        "level": "info",
        "ts": ORIGIN + at,
        "logger": "http.log.access.access",
        "msg": "handled request",
        "request": {
            "remote_ip": "127.0.0.1",
            "remote_port": "38900",
            "client_ip": "127.0.0.1",
            "proto": "HTTP/1.1",
            "method": "GET",
            "host": "127.0.0.1:18080",
            "uri": path,
        },
        "bytes_read": 0,
        "user_id": "",
        "duration": 0.012345,
        "size": 39,
        "status": status,
        "uuid": "1a08081c-e252-4ae7-ac91-a01c266f59ac",
        "upstream": "" if instance is None else f"unix//srv/shop/.gate/live/rel/{instance}/web.sock",
        "service": "web",
    }
    return json.dumps(entry | changes, separators=(",", ":")) + "\n"


class Log:
    """A growing log."""

    def __init__(self, folder: Path, name: str = "access.log") -> None:
        self.path = folder / name
        self._stream = self.path.open("ab", buffering=0)
        self._rotations = 0

    def write(self, *texts: str | bytes) -> None:
        for text in texts:
            self._stream.write(text if isinstance(text, bytes) else text.encode())

    def rotate(self, *, packed: bool = False) -> Path:
        """Closes the file, renames it, begins a new one, and compresses the old one."""
        self._stream.close()
        moment = f"2026-11-24T07-{self._rotations // 60:02}-{self._rotations % 60:02}.123"
        self._rotations += 1
        old = self.path.rename(self.path.with_name(f"{self.path.stem}-{moment}-size{self.path.suffix}"))
        self._stream = self.path.open("ab", buffering=0)
        if not packed:
            return old
        copy = old.with_name(f"{old.name}.gz")
        copy.write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
        return copy

    def cut(self) -> None:
        """Empties the file in place."""
        self._stream.truncate(0)

    def close(self) -> None:
        self._stream.close()
