"""One deployment: its story, what its steps share, what it finds out, and how it waits for a person."""
