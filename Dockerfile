# A container with its own Docker Engine: any Debian or Ubuntu image, the distribution's engine, and four static binaries.
# `cargo xtask image` builds the binaries first; they are expected in target/image/bin, or for another processor than the machine's in
# target/image/$BINARIES.
ARG BASE_IMAGE=ubuntu:24.04
# Where the engine comes from: `packages` of the distribution, or `archive`, Docker's own with static binaries, which
# `cargo xtask image --engine-archive FILE` unpacks.
ARG ENGINE=packages
FROM ${BASE_IMAGE} AS engine

# A base with a USER of its own keeps neither apt nor the node from being root. xtask/README.md says how the main process becomes
# that user again.
USER root

# A base with a PATH of its own may leave out the directories of the engine, of iptables and of our binaries.
ENV PATH=${PATH:+${PATH}:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

ARG ENGINE

# `true` adds xfsprogs, for loop images with DIND_STORAGE_FS=xfs: 70 MB with what it depends on (ICU, Python).
ARG XFS=false

# docker-cli       a package of its own in newer releases, part of docker.io in older ones
# docker-buildx, docker-compose-v2 or docker-compose   plugins of the docker program, where the release has them (in Debian 12,
#                  docker-compose is version 1, and no plugin)
# iptables, nftables   dockerd writes its rules with them, and people look at them
# e2fsprogs        makes, checks and grows the loop image where the data root cannot carry overlay
# erofs-utils      makes a seed of images in a file, where the release has it: 240 KB
# apparmor         without its parser, an engine newer than 20.10 gives containers no profile, even where the machine has one
# procps           `docker top` runs the `ps` of the engine's side
# ca-certificates  pulls from registries
# passt            pasta, the way out of a node that makes its own user namespace, where the release has it
# git, openssh-client  dockerd runs them for build contexts in git repositories
# xz-utils, pigz, bzip2, zstd  dockerd unpacks with the first two what is loaded, pulled and ADDed; tar and preloads with all
# policy-rc.d keeps the packages from starting services during the build.
# What no node needs stays out: documentation (but for licences) and translations, as in Debian's own slim images; test programs of
# Docker's network library; the first two generations of containerd's shim, which no engine since 20.10 uses by itself.
RUN set -eu; \
    export DEBIAN_FRONTEND=noninteractive; \
    policy=/usr/sbin/policy-rc.d; \
    if [ -e "$policy" ]; then policy=; else printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; fi; \
    set --; \
    for path in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' /usr/bin/dnet /usr/sbin/ovrouter \
        /usr/bin/containerd-shim /usr/bin/containerd-shim-runc-v1; do \
        set -- "$@" --option "Dpkg::Options::=--path-exclude=$path"; \
    done; \
    set -- "$@" --option 'Dpkg::Options::=--path-include=/usr/share/doc/*/copyright'; \
    has() { apt-cache show "$1" >/dev/null 2>&1; }; \
    apt-get update; \
    packages='iptables nftables apparmor e2fsprogs procps ca-certificates git openssh-client xz-utils pigz bzip2 zstd'; \
    for package in erofs-utils passt; do if has $package; then packages="$packages $package"; fi; done; \
    if [ "$ENGINE" = archive ]; then \
        getent group docker >/dev/null || groupadd --system docker; \
    else \
        packages="$packages docker.io"; \
        for package in docker-cli docker-buildx; do if has $package; then packages="$packages $package"; fi; done; \
        if has docker-compose-v2; then packages="$packages docker-compose-v2"; \
        elif apt-cache policy docker-compose | grep -q '^  Candidate: [2-9]'; then packages="$packages docker-compose"; fi; \
    fi; \
    if [ "$XFS" = true ]; then packages="$packages xfsprogs"; fi; \
    apt-get "$@" install --yes --no-install-recommends $packages; \
    apt-get clean; \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
        /var/log/alternatives.log $policy

# docker:dind's entrypoint by its name, and our programs by a PATH that somebody has set without /usr/local/bin (`--env PATH=`): the
# engine looks an ENTRYPOINT up there. A base's own script of that name stays.
RUN set -eu; \
    cd /usr/local/bin; \
    [ -e dockerd-entrypoint.sh ] || ln -s dind-launch dockerd-entrypoint.sh; \
    for name in dind-launch dockerd-entrypoint.sh; do \
        for directory in /usr/bin /bin /usr/sbin /sbin; do \
            [ -e "$directory/$name" ] || [ -L "$directory/$name" ] || ln -s "/usr/local/bin/$name" "$directory/$name"; \
        done; \
    done

# What is above needs none of the binaries, and xtask builds it while they are compiled.
FROM engine

# Of an archive, its programs and plugins; nothing otherwise.
ARG ENGINE
COPY target/image/engine-${ENGINE}/ /usr/local/

ARG BINARIES=bin
COPY target/image/${BINARIES}/ /usr/local/bin/

# For those who start nodes without --privileged: `docker run --rm --entrypoint cat IMAGE /usr/share/dind/seccomp.json`.
COPY dind-launch/seccomp.json /usr/share/dind/seccomp.json

# The outer engine's own filesystem carries the inner engine's layers natively; a container's overlay does not.
# The second one is the work folder of a Mesos agent, whose tasks may outlive a restart; it is empty without one.
# Remove containers with `--rm` or `docker rm --volumes`, or these volumes pile up.
VOLUME /var/lib/docker /var/lib/mesos

# The engine listens there on request only: DOCKER_TLS_CERTDIR=/certs for TLS on 2376, DIND_INSECURE_TCP=true for clear text on 2375.
EXPOSE 2375 2376

# Healthy is: a container could be started now. Until the first success Docker shows `starting`, for as long as the start period:
# the node may load image archives for minutes. A start that fails does not wait for its end, because the node exits.
HEALTHCHECK --interval=10s --timeout=5s --start-period=1h CMD ["dind-launch", "status", "--healthy"]

# A base image may ask for another signal, such as nginx's QUIT; the launcher knows those, too, and this one needs no knowledge.
STOPSIGNAL SIGTERM

# With no command, the image's Mesos agent runs if there is one, otherwise the engine itself is the service.
ENTRYPOINT ["dind-launch", "run", "--"]

# What a base says of itself is not true of this image: empty is better than its address.
ARG BASE_IMAGE
ARG VERSION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="dind" \
    org.opencontainers.image.description="A container with a Docker Engine of its own: any Debian or Ubuntu image, the distribution's engine, and four static binaries." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.revision="" \
    org.opencontainers.image.url="" \
    org.opencontainers.image.documentation=""
