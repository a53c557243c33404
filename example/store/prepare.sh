#!/bin/sh
# What the CI does on the gate's machine before the gate starts there, in the project's folder: sh example/store/prepare.sh ENV
# Installs what the lock file pins, and starts the front door unless it runs. Nothing that serves is touched. The release is
# built by the gate ([releases] build), from the VERSION, COMMIT and COMMIT_AUTHORS that the CI hands over, or pulled.
set -eu
test -x .venv/bin/python || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
.venv/bin/python deploy_gate.py "$1" up
