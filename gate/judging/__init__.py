"""What decides: rules, limits and statistics in, a verdict with its reasons out. Pure."""
