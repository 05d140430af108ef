#!/bin/sh
# Runs as root while the image is built. `bin` has the four binaries; README.md says how they get there.
set -eu
cd "$(dirname "$0")"

for tool in dind-launch dind-net dind-reaper dind-storage; do
    if [ ! -f "bin/$tool" ]; then
        echo "bin/$tool is missing beside install.sh: see the README of the example" >&2
        exit 1
    fi
done

# What a node needs of the distribution, where the image does not have it. Nothing is started.
if ! command -v dockerd >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    packages='docker.io iptables e2fsprogs procps ca-certificates git xz-utils pigz'
    for package in docker-cli docker-buildx; do
        if apt-cache show $package >/dev/null 2>&1; then packages="$packages $package"; fi
    done
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; fi
    apt-get install --yes --no-install-recommends $packages
    rm -rf /var/lib/apt/lists/* $policy
fi

install -D --mode 0755 --target-directory /usr/local/bin bin/dind-*
install -D --mode 0755 entrypoint.sh /usr/local/share/dind/entrypoint.sh

# The user of the container may use the engine.
user=${_REMOTE_USER:-root}
if [ "$user" != root ]; then
    usermod --append --groups docker "$user"
fi
