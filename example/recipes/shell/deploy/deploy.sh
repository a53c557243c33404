#!/bin/sh
# Ends the version that runs, starts another on the same port and waits until it listens: deploy.sh VERSION
# Run again for the same version it starts it anew, which is harmless; for the version before it is the way back.
set -eu
version=$1
[ -d "releases/$version" ] || { echo "no release $version here" >&2; exit 7; }
mkdir -p run
# What is meant to serve, before anything is done: whoever is killed from here on is taken back from here.
echo "$version" >run/wanted.new
mv run/wanted.new run/wanted
# One that has ended and that nobody collects does not run any more.
runs() { case $(ps -o stat= -p "$1") in '' | Z*) return 1 ;; esac; }
if [ -f run/pid ] && kill "$(cat run/pid)" 2>/dev/null; then
  tries=0
  while runs "$(cat run/pid)"; do  # requests in flight are answered first
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { kill -KILL "$(cat run/pid)"; break; }
    sleep 0.1
  done
fi
# In a session of its own: the gate ends what this script leaves in its process group.
setsid python3 "releases/$version/app.py" "$PORT" "$PWD/run/requests.log" >>"run/$version.log" 2>&1 </dev/null &
echo $! >run/pid
tries=0
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2>/dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || exit 8
  kill -0 "$(cat run/pid)" 2>/dev/null || { echo "$version has ended: see run/$version.log" >&2; exit 9; }
done
