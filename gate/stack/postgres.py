"""The embedded PostgreSQL of an environment, with the role and the database its ``[database] url`` names."""

from __future__ import annotations

from gate.config import Environment, Port
from gate.database.binaries import major
from gate.database.cluster import SUPERUSER, Cluster
from gate.errors import DatabaseError, StackError
from gate.redact import Secret
from gate.stack import ports
from gate.stack.addresses import HOST, Address, address
from gate.stack.parts import Part


class Postgres:
    """One cluster below the state folder, durable, on a loopback port."""

    name = "postgres"

    def __init__(self, environment: Environment, port: Port) -> None:
        self._environment = environment
        self._port = port
        self._cluster = Cluster(environment.state_folder / "stack" / "postgres", port=port.port)

    def check(self) -> None:
        """Raises StackError when the environment file asks for what cannot be."""
        self._wanted()

    def up(self) -> bool:
        """Starts the server where needed and sees to its role and database; whether it had to be started."""
        wanted = self._wanted()
        if self._cluster.ready():
            self._admit(wanted)
            return False
        if not self._cluster.held():
            ports.require_free(self._environment, HOST, self._port.port, "[stack.postgres] port")
        try:
            self._cluster.init()
            self._cluster.start()
        except DatabaseError as fault:
            raise StackError(str(fault), next_step=fault.next_step) from None
        self._admit(wanted)
        return True

    def down(self) -> None:
        self._cluster.stop()

    def superuser(self) -> Secret:
        """The URL of the cluster's own role, which may do everything."""
        return self._cluster.url()

    def status(self) -> Part:
        """Whether it takes connections, without starting anything."""
        return Part(self.name, self._cluster.ready(), f"PostgreSQL {major()}", f"{HOST}:{self._port.port}")

    def _wanted(self) -> Address:
        database = self._environment.database
        wanted = address(self._environment, "database", database.url if database else None, self._port)
        if wanted.user in {"", SUPERUSER} or not wanted.name:
            file = ports.shown(self._environment)
            raise StackError(f"{file}: [database] url: needs a database, and a user other than {SUPERUSER}")
        return wanted

    def _admit(self, wanted: Address) -> None:
        """Makes the role and the database, and gives the role the password of the environment file."""
        import psycopg
        from psycopg import sql

        try:
            with psycopg.connect(self._cluster.url().reveal(), autocommit=True, connect_timeout=5) as connection:
                # Hashed here, so that the password itself never stands in a statement or a server log.
                hashed = connection.pgconn.encrypt_password(
                    wanted.password.encode(), wanted.user.encode(), b"scram-sha-256"
                )
                role, name = sql.Identifier(wanted.user), sql.Identifier(wanted.name)
                known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [wanted.user]).fetchone()
                verb = sql.SQL("ALTER" if known else "CREATE")
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(hashed.decode()))
                )
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [wanted.name]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
        except psycopg.Error as fault:
            state = fault.sqlstate or type(fault).__name__
            raise StackError(f"PostgreSQL runs, but its role and database could not be made ({state})") from None
