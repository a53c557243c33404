"""Reads what releases leave behind while they take traffic, and turns it into observations. Decides nothing."""
