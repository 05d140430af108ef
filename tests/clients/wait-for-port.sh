#!/bin/bash
# wait-for-port.sh HOST:PORT -t SECONDS: waits until somebody listens there.
set -eu
host=${1%:*} port=${1##*:} seconds=$3
for _ in $(seq $((seconds * 10))); do
    if (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; then
        exit 0
    fi
    sleep 0.1
done
echo "nobody listens at $1" >&2
exit 1
