"""What the command line does: arguments parsed, and what each command leads to."""
