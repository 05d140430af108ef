#!/bin/sh
# All of a node, with the tools' settings merged into daemon.json, whose own settings win. It needs jq.
set -eu
own=/etc/docker/daemon.json
[ -e "$own" ] || { mkdir -p "${own%/*}" && echo '{}' >"$own"; }

# Settings that depend on the engine's version, such as the networks' MTU, are made for this one.
DIND_ENGINE_VERSION=$(dockerd --version | sed 's/^Docker version \([^,]*\),.*/\1/')
export DIND_ENGINE_VERSION

dind-launch prepare >/run/prepare.json
dind-storage apply >/run/storage.json
dind-net apply >/run/net.json

jq --slurp '.[0].engine.config + .[1].engine.config + .[2]' /run/storage.json /run/net.json "$own" >/run/daemon.json
PATH=$(jq --slurp --raw-output 'map(.engine.path_prepend // []) | add + [env.PATH] | join(":")' /run/storage.json /run/net.json)
dockerd --config-file /run/daemon.json &
exec dind-reaper exec --engine $! -- "$@"
