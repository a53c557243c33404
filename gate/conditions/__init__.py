"""What a deployment has to wait for, one file each; ``gate.permission`` asks them in their order."""
