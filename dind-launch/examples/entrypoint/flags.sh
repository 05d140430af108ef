#!/bin/sh
# All of a node, with the tools' settings as flags of dockerd.
set -eu
dind-launch prepare >/run/prepare.json
storage=$(dind-storage apply --output flags)
net=$(dind-net apply --output flags)
dockerd $storage $net &
exec dind-reaper exec --engine $! -- "$@"
