"""Writes the schema files beside this module."""

from __future__ import annotations

from gate.schemas import FOLDER, texts

for name, text in texts().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(FOLDER / name)
