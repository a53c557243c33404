"""The schema of the gate's own records, migrated by Alembic like any other; imported only where it has to change."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from gate.errors import OperationFailed

HEAD = "0006"
"""The revision this version of the gate reads and writes."""
REVISIONS = ("0001", "0002", "0003", "0004", "0005", HEAD)
"""Every revision it can migrate from, oldest first."""

_VERSION = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32)))
_FOLDER = Path(__file__).with_name("migrations")


def revision(connection: sa.Connection) -> str | None:
    """The revision the records are at; None for none, or from before they were numbered."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def migrate(connection: sa.Connection, where: str) -> None:
    """Brings the records to ``HEAD`` within the connection's transaction, which nobody else's may overlap.

    Raises OperationFailed where a newer gate has migrated them already.
    """
    found = revision(connection)
    if found == HEAD:
        return
    if found is not None and found not in REVISIONS:
        raise OperationFailed(
            f"{where}: the gate's records are at revision {found}, this gate knows {HEAD}: a newer one wrote them",
            next_step="install the newer gate here too",
        )
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
