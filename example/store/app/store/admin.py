"""Backup and recovery, as far as the shop can tell: when the last backup was made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel

from .errors import RefusedError
from .sessions import TrustedSession

router = APIRouter(tags=["admin"])


class Backup(BaseModel):
    """`verified` says that it was restored somewhere and compared."""

    id: str
    finished_at: AwareDatetime
    bytes: int
    verified: bool


@router.get("/api/admin/backup")
async def last_backup(_: TrustedSession, request: Request) -> Backup:
    """The last backup, as whoever makes backups wrote it into the file STORE_BACKUP_STATUS names."""
    status: Path | None = request.app.state.settings.backup_status
    text = await asyncio.to_thread(_read, status) if status else None
    if text is None:
        raise RefusedError(404, "no_backup", "No backup is known.")
    return Backup.model_validate_json(text)


def _read(status: Path) -> str | None:
    try:
        return status.read_text()
    except FileNotFoundError:
        return None
