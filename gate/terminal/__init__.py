"""What people and runners read while a command runs, and the answer at its end."""
