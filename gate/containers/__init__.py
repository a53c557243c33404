"""What the gate does with a Docker engine: ``client`` asks it, ``images`` are releases, ``tools`` run in them.

Imported only for environments with ``kind = "docker"``: the SDK is an extra, and takes a moment to import.
"""
