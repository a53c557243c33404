#!/bin/sh
# Prints what an instance wrote: logs.sh INSTANCE SINCE
set -eu
exec ssh -F deploy/ssh_config store-server \
  sudo -n journalctl --unit "store@$1" --since "@$2" --output cat --no-pager --quiet
