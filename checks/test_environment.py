"""Environment Validation: the settings, and the servers the application stands on."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Environment Validation")

APART = 1.0  # seconds that two clocks may be


@pytest.mark.critical
def test_settings_are_real(settings_faults: list[str], environment: Any, no_faults: Any) -> None:
    """Required settings are there and well-formed: no placeholder, no default password."""
    no_faults(settings_faults, f"Set them where the secrets of {environment.name} are kept.")


@pytest.mark.critical
@pytest.mark.requires("database")
def test_database_is_ready_for_a_deployment(database: Any, environment: Any, backup_space: Any, warn: Any) -> None:
    """The database answers, is of a supported version, takes writes, and its backup has room on the disk."""
    facts = database.facts()
    oldest = environment.database.minimum_version
    assert facts.version >= oldest, (
        f"PostgreSQL {facts.version_text} < {oldest} ([database] minimum_version): update it"
    )
    assert not facts.standby, "[database] url names a standby, which takes no writes: name the primary"
    space = backup_space(facts.size_bytes)
    assert space.free >= space.needed, (
        f"{space.free / 2**20:.0f} MB free < {space.needed / 2**20:.0f} MB for a backup in {space.folder}: "
        "make room, or move [state] folder"
    )
    used = facts.connections / facts.max_connections
    if used > 0.8:
        warn(f"{facts.connections} of {facts.max_connections} connections in use: two releases need room for both")


@pytest.mark.critical
@pytest.mark.requires("cache")
def test_cache_is_ready_for_a_deployment(cache: Any, environment: Any, warn: Any) -> None:
    """The cache answers, is of a supported version and evicts only as the environment allows."""
    server, memory = cache.info("server"), cache.info("memory")
    # Redis' own number is the protocol's level; a Valkey names its own beside it.
    version, oldest = str(server["redis_version"]), environment.cache.minimum_version
    major = int(version.partition(".")[0])
    assert major >= oldest, f"cache version {version} < {oldest} ([cache] minimum_version): update the server"
    policy, allowed = memory.get("maxmemory_policy"), environment.cache.eviction
    assert not allowed or policy in allowed, (
        f"maxmemory-policy is {policy}, allowed: {', '.join(allowed)} ([cache] eviction): set it on the server"
    )
    limit, used = int(memory.get("maxmemory") or 0), int(memory["used_memory"])
    if limit and used > 0.7 * limit:
        warn(f"cache memory {used / 2**20:.0f} MB > 70 % of its maxmemory, {limit / 2**20:.0f} MB")


@pytest.mark.requires("clocks")
def test_clocks_agree(clocks: Any, no_faults: Any, inconclusive: Any, warn: Any) -> None:
    """The clocks of the servers and of the database agree with this machine's, and something keeps them."""
    found = [
        f"{clock.name}: {clock.apart:.1f} s apart from this machine"
        for clock in clocks
        if clock.apart is not None and clock.apart > APART
    ]
    no_faults(found, "Set up time sync on both: sign-offs, logs and what users pay for are told by the time.")
    others = [clock for clock in clocks if not clock.here]
    unknown = [f"{clock.name}: {clock.unknown}" for clock in others if clock.apart is None and clock.kept is None]
    if unknown:
        inconclusive("; ".join(unknown))
    loose = [clock.name for clock in clocks if clock.kept is False]
    if loose:
        warn(f"no time service keeps the clock of {', '.join(loose)}")


@pytest.mark.requires("units")
def test_ports_are_free_or_ours(ports: Any, no_faults: Any, inconclusive: Any) -> None:
    """The ports of the front door are free, or the gate's own proxy listens there and nobody else."""
    found = [
        f"{port.key}: somebody else listens on {port.address}{port.server and f' of {port.server}'}"
        for port in ports
        if port.others
    ]
    no_faults(found, "The system gives each of them a part of the users: end the other one, or take another port.")
    unknown = [f"{port.address} {port.server}".strip() + f": {port.unknown}" for port in ports if port.others is None]
    if unknown:
        inconclusive("; ".join(unknown))
