"""A deploy gate: pytest cases judge a release, the pipeline deploys it and rolls it back.

Pure modules (values in, values out): errors, results, limits, verdict, readiness, config, redact.
Everything else touches the world; ``gate.shell`` alone starts processes.
"""

__version__ = "0.1.0"
