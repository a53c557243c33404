"""A suite of pytest cases as a child process: what it is told, what it says while it runs, its record."""
