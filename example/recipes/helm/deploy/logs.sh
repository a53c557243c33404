#!/bin/sh
# Prints what the pods of a version wrote: logs.sh VERSION SINCE
# A label has no +, neither has an image's tag; an annotation may.
set -eu
since=$(date -u -d "@$2" +%Y-%m-%dT%H:%M:%SZ)
exec kubectl --namespace "$NAMESPACE" --request-timeout 20s logs --selector "app=store,tag=$(echo "$1" | tr + _)" \
  --since-time "$since" --tail -1 --max-log-requests 50 --prefix
