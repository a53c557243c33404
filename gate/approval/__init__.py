"""Whose word a deployment needs and has: sign-offs by role, checklists, and what an emergency leaves to be signed."""
