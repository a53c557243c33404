"""The environment of a migration tool's process: little more than DATABASE_URL and the time-outs.

Nothing in it could lead a dry run to the live database.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote

from gate.database.connection import CONNECT_TIMEOUT, connect
from gate.database.patience import Patience
from gate.machine import surroundings
from gate.redact import Secret

# The same server and database, whichever way one is connected to it; every role may ask this.
_IDENTITY = "SELECT current_database() || '@' || extract(epoch FROM pg_postmaster_start_time())"

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def offline(url: Secret, extra: Mapping[str, Secret]) -> dict[str, str]:
    """The variables of a process that asks no database; ``url`` only says what kind of one it would be."""
    given = surroundings.kept(_KEPT) | {name: value.reveal() for name, value in extra.items()}
    return given | {
        "PYTHONDONTWRITEBYTECODE": "1",  # a release's folder must stay what its manifest says
        "GATE_PID": str(os.getpid()),
        "DATABASE_URL": url.reveal(),
    }


def online(url: Secret, patience: Patience, extra: Mapping[str, Secret]) -> dict[str, str]:
    """The variables of a process that works on the database of ``url``. Raises DatabaseError."""
    with connect(url) as connection:
        identity = connection.execute(_IDENTITY).fetchone()
        settings = patience.settings(connection.info.server_version)
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return offline(_with_options(url, options), extra) | {
        "GATE_DATABASE_IDENTITY": str(identity[0]) if identity else "",
        "GATE_DATABASE_IDENTITY_SQL": _IDENTITY,
        "PGOPTIONS": options,
        "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
    }


def _with_options(url: Secret, options: str) -> Secret:
    """libpq takes a URL's options instead of PGOPTIONS: a URL that has some must hold ours as well."""
    place, mark, query = url.reveal().partition("?")
    parts = [part + quote(f" {options}", safe="") if part.startswith("options=") else part for part in query.split("&")]
    return Secret(place + mark + "&".join(parts))
