"""The monitoring of a release after its deployment: when it is looked at, what is seen, and what is done about it."""
