#!/bin/sh
# Makes a version serve, and ends well once every pod of it is ready: deploy.sh VERSION
# Not `kubectl rollout undo`: run twice it would go forward again. The gate takes a bad one back by this script and the
# version before. A version has no character that sed takes for its own.
set -eu
tag=$(echo "$1" | tr + _)
rendered=$(sed -e "s/@VERSION@/$1/g" -e "s/@TAG@/$tag/g" "$(dirname "$0")/store.yaml")
echo "$rendered" | kubectl --namespace "$NAMESPACE" --request-timeout 20s apply --filename -
exec kubectl --namespace "$NAMESPACE" rollout status deployment/store --timeout 5m
