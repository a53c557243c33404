"""What only a server reaches: the database and the cache that lie behind it, led to through the engine's connection."""

from __future__ import annotations

from gate.config import ContainerSettings, Environment
from gate.database.ways import Led


def led(environment: Environment) -> Environment:
    """The environment; one that says ``through`` with the way to its database. Nothing is connected yet."""
    engine, database = environment.engine, environment.database
    if not isinstance(engine, ContainerSettings) or database is None or database.through is None:
        return environment
    address = ":".join(database.address)

    def way() -> int:
        return port_of(engine, address)

    urls = {"url": database.url, "maintenance_url": database.maintenance_url}
    known = {key: Led(url.reveal(), way) for key, url in urls.items() if url is not None}
    return environment.derived({"database": database.model_copy(update=known)}, ())


def port_of(engine: ContainerSettings, address: str) -> int:
    """The port of this machine's loopback that leads to an address behind the server. Raises EngineError."""
    from gate.remote.ssh import connection

    return connection(engine).leads[address]
