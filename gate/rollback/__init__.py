"""Where a rollback goes: what was kept here and not gone back from, by the records, and where they cannot be used."""
