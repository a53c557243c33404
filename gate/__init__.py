"""A deploy gate: pytest cases judge a release, the pipeline deploys it and rolls it back.

Pure (values in, values out): ``errors``, ``results``, ``judging``, ``live``, ``config``, ``redact``, ``schedule``.
Everything else touches the world; ``gate.machine.shell`` alone starts processes.
"""

__version__ = "0.1.0"
