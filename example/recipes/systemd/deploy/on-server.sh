#!/bin/sh
# Runs one command of deploy-unit on the server. ssh hands its words to a shell there: versions and names of instances
# have no character that a shell takes for its own.
set -eu
exec ssh -F "$(dirname "$0")/ssh_config" store-server sudo -n /usr/local/sbin/deploy-unit "$@"
