#!/usr/bin/env python3
"""mesos-framework HOST:PORT: a framework that takes tasks on stdin and tells on stdout what becomes of them.

A line of stdin is a task: {"id", "command"} and, where wanted, "network" (HOST, BRIDGE), "image", "host" (the agent's
hostname), "executor" (a shell script that is the custom executor), "cpus", "mem". A line of stdout is an event:
{"event": "subscribed" | "launched" | "update", "at": seconds since 1970, …}. It ends with its stdin, and its tasks with it."""
import collections
import http.client
import json
import os
import sys
import threading
import time

ADDRESS = sys.argv[1]
PATH = "/master/api/v1/scheduler"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
FRAMEWORK = {
    "user": "root", "name": "dind", "checkpoint": True, "failover_timeout": 60, "roles": ["*"],
    "capabilities": [{"type": "MULTI_ROLE"}],
}


def tell(event, **fields):
    print(json.dumps({"event": event, "at": time.time(), **fields}), flush=True)


class Framework:
    def __init__(self):
        self.waiting = collections.deque()
        self.hosts = {}
        self.lock = threading.Lock()
        connection = http.client.HTTPConnection(ADDRESS)
        body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": FRAMEWORK}}
        connection.request("POST", PATH, json.dumps(body), HEADERS)
        self.events = connection.getresponse()
        if self.events.status != 200:
            sys.exit(f"the master refuses: {self.events.status} {self.events.read()}")
        self.stream = self.events.getheader("Mesos-Stream-Id")
        self.id = self.read()["subscribed"]["framework_id"]
        tell("subscribed", framework=self.id["value"])

    def read(self):
        """The next event; each has its length in a line before it (RecordIO)."""
        length = b""
        while not length.endswith(b"\n"):
            byte = self.events.read(1)
            if not byte:
                sys.exit("the master has gone away")
            length += byte
        return json.loads(self.events.read(int(length)))

    def call(self, kind, **body):
        connection = http.client.HTTPConnection(ADDRESS, timeout=30)
        body = json.dumps({"type": kind, "framework_id": self.id, **body})
        connection.request("POST", PATH, body, {**HEADERS, "Mesos-Stream-Id": self.stream})
        answer = connection.getresponse()
        if answer.status != 202:
            sys.exit(f"{kind}: {answer.status} {answer.read()}")

    def take(self, line):
        """A new task: offers that were declined come back at once."""
        with self.lock:
            self.waiting.append(json.loads(line))
            self.call("REVIVE")

    def offer(self, offer):
        """Launches all waiting tasks that are for this agent and fit."""
        self.hosts[offer["agent_id"]["value"]] = offer["hostname"]
        left = {"cpus": 0, "mem": 0}
        for resource in offer["resources"]:
            if resource["name"] in left:
                left[resource["name"]] += resource["scalar"]["value"]
        chosen = []
        with self.lock:
            for task in list(self.waiting):
                need = {"cpus": task.setdefault("cpus", 0.1), "mem": task.setdefault("mem", 32)}
                here = task.get("host") in (None, offer["hostname"])
                if here and all(left[name] >= amount for name, amount in need.items()):
                    left = {name: left[name] - amount for name, amount in need.items()}
                    chosen.append(task)
                    self.waiting.remove(task)
        operation = {"type": "LAUNCH", "launch": {"task_infos": [self.info(task, offer) for task in chosen]}}
        # Not for long: a task may be handed in, and its REVIVE be heard, before this is.
        filters = {"refuse_seconds": 0.5}
        for task in chosen:
            tell("launched", task=task["id"], host=offer["hostname"])
        self.call("ACCEPT", accept={
            "offer_ids": [offer["id"]], "operations": [operation] if chosen else [], "filters": filters,
        })

    def info(self, task, offer):
        def scalar(name):
            return {"name": name, "type": "SCALAR", "scalar": {"value": task[name]}, "allocation_info": {"role": "*"}}

        image = task.get("image", os.environ.get("TASK_IMAGE"))
        container = {"type": "DOCKER", "docker": {"image": image, "network": task.get("network", "HOST")}}
        info = {"name": task["id"], "task_id": {"value": task["id"]}, "agent_id": offer["agent_id"],
                "resources": [scalar("cpus"), scalar("mem")]}
        if "executor" not in task:
            return {**info, "container": container, "command": {"value": task["command"], "shell": True}}
        return {**info, "executor": {
            "type": "CUSTOM", "executor_id": {"value": "executor-" + task["id"]}, "framework_id": self.id,
            "container": container, "command": {"value": task["executor"], "shell": True},
        }}

    def update(self, status):
        networks = status.get("container_status", {}).get("network_infos", [])
        tell("update", task=status["task_id"]["value"], state=status["state"], message=status.get("message", ""),
             reason=status.get("reason", ""), host=self.hosts.get(status.get("agent_id", {}).get("value")),
             addresses=[address["ip_address"] for network in networks for address in network["ip_addresses"]])
        if "uuid" in status:
            self.call("ACKNOWLEDGE", acknowledge={key: status[key] for key in ("agent_id", "task_id", "uuid")})

    def run(self):
        while True:
            event = self.read()
            if event["type"] == "OFFERS":
                for offer in event["offers"]["offers"]:
                    self.offer(offer)
            elif event["type"] == "UPDATE":
                self.update(event["update"]["status"])


framework = Framework()
threading.Thread(target=framework.run, daemon=True).start()
for line in sys.stdin:
    framework.take(line)
framework.call("TEARDOWN")
