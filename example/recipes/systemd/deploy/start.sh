#!/bin/sh
# Brings a release to the server and starts it there, without traffic: start.sh VERSION INSTANCE
set -eu
here=$(dirname "$0")
packed=$(mktemp)
trap 'rm -f "$packed"' EXIT
# Packed before it is sent: of a pipe only the end that receives would be asked whether all went well.
tar -C "releases/$1" -cf "$packed" .
sh "$here/on-server.sh" receive "$1" <"$packed"
sh "$here/on-server.sh" start "$1" "$2"
