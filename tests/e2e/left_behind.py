"""What may be left of a project on the machine: processes, sockets, databases."""

from __future__ import annotations

import re
import socket
from collections import Counter
from pathlib import Path

import psycopg

from tests.e2e.sites import Site


def processes(root: Path) -> Counter[str]:
    """What runs for a project, by command line; numbers do not matter."""
    found: Counter[str] = Counter()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            here = (place / "cwd").resolve()
        except OSError:
            continue
        line = b" ".join(words).decode(errors="replace").strip()
        if line and (str(root) in line or here.is_relative_to(root)):
            found[re.sub(r"\d+", "N", line)] += 1
    # A server's sessions come and go with the application's pool.
    return Counter({name: count for name, count in found.items() if not name.startswith("postgres: ")})


def sockets(root: Path) -> Counter[str]:
    """The sockets below a folder, by their paths in it, and whether anybody listens; numbers do not matter."""
    found: Counter[str] = Counter()
    for path in root.rglob("*"):
        if path.is_socket():
            told = "" if _answers(path) else " (nobody listens)"
            found[re.sub(r"\d+", "N", str(path.relative_to(root))) + told] += 1
    return found


def databases(site: Site) -> dict[str, str]:
    """The databases of a site's server, and the URL of each."""
    with psycopg.connect(site.database, connect_timeout=5) as connection:
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
        names = [str(row[0]) for row in connection.execute(query)]
    return {name: psycopg.conninfo.make_conninfo(site.database, dbname=name) for name in names}


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
