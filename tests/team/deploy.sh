#!/bin/sh
# The recipe for a shell script (example/recipes/shell), with what the tests ask for: it tells when it was run, may be
# slow, and prints a token where it fails.
#   deploy.sh VERSION
set -eu
cd "$(dirname "$0")"
mkdir -p run
echo "deploying $1" >>run/history
if [ -f run/slow ]; then sleep 30; fi
[ -d "releases/$1" ] || echo "the token is $DEPLOY_TOKEN" >&2
exec sh deploy/deploy.sh "$1"
