#!/bin/sh
# What people rely on in the image docker:cli: a client that finds the engine of the service `docker` by itself, over TLS where it sees
# certificates. Without a known program in front, the words are a command of docker.
set -eu

certificates() {
    [ -n "${DOCKER_TLS_CERTDIR:-}" ] || return 1
    for file in ca cert key; do
        [ -s "$DOCKER_TLS_CERTDIR/client/$file.pem" ] || return 1
    done
}

if [ -z "${DOCKER_HOST:-}" ]; then
    if [ -S /var/run/docker.sock ]; then
        DOCKER_HOST=unix:///var/run/docker.sock
    elif certificates || [ -n "${DOCKER_TLS_VERIFY:-}" ]; then
        DOCKER_HOST=tcp://docker:2376
    else
        DOCKER_HOST=tcp://docker:2375
    fi
    export DOCKER_HOST
fi
case $DOCKER_HOST in
tcp:*)
    if [ -z "${DOCKER_TLS_VERIFY:-}${DOCKER_CERT_PATH:-}" ] && certificates; then
        export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$DOCKER_TLS_CERTDIR/client"
    fi
    ;;
esac
if ! command -v "$1" >/dev/null; then
    set -- docker "$@"
fi
exec "$@"
