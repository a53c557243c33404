#!/bin/sh
# What the CI does on a server before the gate starts there, in the project's folder: sh example/store/prepare.sh ENV
# Installs what the lock file pins, builds the release VERSION of COMMIT by COMMIT_AUTHORS unless it is there, starts the
# proxy unless it runs. Nothing that serves is touched.
set -eu
test -x .venv/bin/python || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
.venv/bin/python example/store/build.py "$VERSION" --into "/srv/store/releases/${VERSION#v}" --commit "$COMMIT" \
  --author="${COMMIT_AUTHORS-}"
.venv/bin/python deploy_gate.py "$1" up
