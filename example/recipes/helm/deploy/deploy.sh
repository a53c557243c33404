#!/bin/sh
# Makes a version serve, and ends well once every pod of it is ready: deploy.sh VERSION
# Neither --atomic nor `helm rollback`: the gate takes a bad one back, by this script and the version before. A
# `helm rollback` that is run twice would go forward again.
set -eu
exec helm upgrade store chart --install --namespace "$NAMESPACE" --history-max 10 \
  --set-string "version=$1,tag=$(echo "$1" | tr + _)" --wait --timeout 5m
