//! The steps of another entrypoint, to be measured beside the node's: ours to read, and none of its script.

/// What the entrypoint of docker:dind does by default before it becomes dockerd, in its order, each step with a line in the log: keys and
/// certificates of a CA, a server and a client, a look at iptables, what Docker's `hack/dind` mounts, and a dockerd with TLS.
pub(crate) const STEPS: &str = r#"
step() { echo "step $*" >&2; }
step keys and certificates
mkdir -p /certs/ca /certs/server /certs/client
key() { openssl genrsa -out /certs/$1/key.pem 4096 2>/dev/null; }
sign() {
    key $1
    openssl req -new -key /certs/$1/key.pem -out /certs/$1/csr.pem -subj "/CN=bench $1"
    openssl x509 -req -in /certs/$1/csr.pem -CA /certs/ca/cert.pem -CAkey /certs/ca/key.pem -CAcreateserial \
        -out /certs/$1/cert.pem -days 825 2>/dev/null
}
key ca
openssl req -new -x509 -key /certs/ca/key.pem -out /certs/ca/cert.pem -subj "/CN=bench CA" -days 825
sign server
sign client
step iptables
iptables -nL >/dev/null
step mounts and cgroups
export container=docker
[ ! -d /sys/kernel/security ] || mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security || true
mountpoint -q /tmp || mount -t tmpfs none /tmp
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    xargs -rn1 </sys/fs/cgroup/cgroup.procs >/sys/fs/cgroup/init/cgroup.procs || true
    sed 's/ / +/g; s/^/+/' </sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
fi
mount --make-rshared /
step dockerd
set -- dockerd --host "$1" --data-root "$2" --host tcp://0.0.0.0:2376 --tlsverify \
    --tlscacert /certs/ca/cert.pem --tlscert /certs/server/cert.pem --tlskey /certs/server/key.pem
if command -v docker-init >/dev/null; then set -- docker-init -- "$@"; fi
exec "$@"
"#;
