"""The rehearsal of a deployment on private copies: nothing of it reaches the live database, cache or users."""
