# A container with its own Docker Engine: any Debian or Ubuntu image, the distribution's engine, and four static binaries.
# `cargo xtask image` builds the binaries first; they are expected in target/image/bin.
ARG BASE_IMAGE=ubuntu:24.04
FROM ${BASE_IMAGE} AS engine

# docker-cli       a package of its own in newer releases, part of docker.io in older ones
# iptables         dockerd writes its rules with it
# e2fsprogs, xfsprogs  make, check and grow the loop image where the data root cannot carry overlay
# apparmor         on a host that confines programs and has no profile for containers, the engine loads its own with it
# procps           `docker top` runs the `ps` of the engine's side
# ca-certificates  pulls from registries
# policy-rc.d keeps the packages from starting services during the build.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    policy=/usr/sbin/policy-rc.d; \
    if [ -e "$policy" ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; fi; \
    apt-get update; \
    cli=$(apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli || true); \
    apt-get install --yes --no-install-recommends \
        docker.io $cli iptables apparmor e2fsprogs xfsprogs procps ca-certificates; \
    rm -rf /var/lib/apt/lists/* $policy

# What is above needs none of the binaries, and xtask builds it while they are compiled.
FROM engine

COPY target/image/bin/ /usr/local/bin/

# For those who start nodes without --privileged: `docker run --rm --entrypoint cat IMAGE /usr/share/dind/seccomp.json`.
COPY dind-launch/seccomp.json /usr/share/dind/seccomp.json

# The outer engine's own filesystem carries the inner engine's layers natively; a container's overlay does not.
# The second one is the work folder of a Mesos agent, whose tasks may outlive a restart; it is empty without one.
# Remove containers with `--rm` or `docker rm --volumes`, or these volumes pile up.
VOLUME /var/lib/docker /var/lib/mesos

# Healthy is: a container could be started now. Until the first success Docker shows `starting`, for as long as the start period:
# the node may load image archives for minutes. A start that fails does not wait for its end, because the node exits.
HEALTHCHECK --interval=10s --timeout=5s --start-period=1h CMD ["dind-launch", "status", "--healthy"]

# A base image may ask for another signal, such as nginx's QUIT; the launcher knows those, too, and this one needs no knowledge.
STOPSIGNAL SIGTERM

# With no command, the image's Mesos agent runs if there is one, otherwise the engine itself is the service.
ENTRYPOINT ["dind-launch", "run", "--"]
