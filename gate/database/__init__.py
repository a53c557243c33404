"""The application's PostgreSQL: servers, facts, migrations, backups, copies."""
