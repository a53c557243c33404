#!/bin/sh
# Prints the version that the Deployment is meant to run, also while no pod of it is ready; nothing where there is none.
set -eu
exec kubectl --namespace "$NAMESPACE" --request-timeout 20s get deployment store --ignore-not-found \
  --output 'jsonpath={.metadata.annotations.release}'
