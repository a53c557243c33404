"""What a deployment has to wait for, one file each; ``permission`` asks them in their order."""
