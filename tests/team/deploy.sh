#!/bin/sh
# What a team with one server has: ends the version that runs, starts another on the same port, waits until it listens.
#   deploy.sh VERSION
set -eu
version=$1
cd "$(dirname "$0")"
mkdir -p run
echo "deploying $version" >>run/history
if [ -f run/slow ]; then sleep 30; fi
[ -d "releases/$version" ] || { echo "no release $version here; the token is $DEPLOY_TOKEN" >&2; exit 7; }
echo "$version" >run/wanted
[ ! -f run/pid ] || kill "$(cat run/pid)" 2>/dev/null || true
setsid python3 "releases/$version/app.py" "$PORT" "$PWD/run/requests.log" >>"run/$version.log" 2>&1 </dev/null &
echo $! >run/pid
tries=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2>/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || exit 8
  kill -0 "$(cat run/pid)" 2>/dev/null || exit 9
done
