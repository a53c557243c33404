"""What is left of a deployment for people and machines: ``decision.json`` and the HTML report made from it."""
