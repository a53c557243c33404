"""The shop: a small point of sale."""
