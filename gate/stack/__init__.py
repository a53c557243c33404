"""The servers the gate starts itself: PostgreSQL and the cache of a local environment, and the proxy of every one."""
