"""A test program that starts what it needs in a node, with the packages docker and testcontainers.

It finds the node as the docker command does: by DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.
"""

import sys
import urllib.request

import docker
from testcontainers.core.container import DockerContainer

IMAGE = sys.argv[1] if len(sys.argv) > 1 else "busybox"

# The package docker by itself.
client = docker.from_env()
print(client.containers.run(IMAGE, ["echo", "hello from", client.version()["Version"]], remove=True).decode().strip())

# testcontainers: a server with a published port, which is reached at the node's address.
server = DockerContainer(IMAGE).with_command(["sh", "-c", "echo served >/tmp/index.html; exec httpd -f -p 80 -h /tmp"])
with server.with_exposed_ports(80) as running:
    address = f"http://{running.get_container_host_ip()}:{running.get_exposed_port(80)}/"
    print(urllib.request.urlopen(address, timeout=10).read().decode().strip())
