#!/bin/sh
# The first process of the container becomes the node's. What the container was to run is its main process.
if [ $# -eq 0 ]; then
    set -- sleep infinity
fi
if [ "$(id -u)" -ne 0 ]; then
    exec sudo --preserve-env dind-launch run -- "$@"
fi
exec dind-launch run -- "$@"
