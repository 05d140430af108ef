#!/bin/sh
# Some of the tools: cgroups and mounts by dind-launch, the ordered stop by dind-reaper. Storage and network are settled by hand.
set -eu
dind-launch prepare >/run/prepare.json
dockerd --storage-driver overlay2 --bip 192.168.77.1/24 &
exec dind-reaper exec --engine $! -- "$@"
