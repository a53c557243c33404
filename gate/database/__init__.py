"""The application's PostgreSQL: what it is, how it changes, and how its data is kept.

connection, facts      how to reach it without showing the password; its version, size and room
migrations             what a release changes, up and down; ``patience`` waits for locks
alembic, django        by these tools: ``child`` runs ``release_child`` with ``alembic_child`` or ``django_child`` in a
                       process of the release, whose variables ``release_process`` makes
sql_migrations         by plain SQL files: ``sql_files`` reads them, ``sql_runner`` runs one; ``version_table``
command                by the team's own commands
fingerprint, catalog   whether two databases hold the same, data and schema
invariants             what must always be true of the data
backup, manifest       a dump of one moment, proven by restoring it
copy, origin           a private copy of the live database, and the dry run of migrations on it
dump                   pg_dump and pg_restore
cluster, binaries, accounts   a PostgreSQL of our own
"""
