"""Runs the mesh of deploy/kubernetes/mesh on three machines, and Prometheus with the deployed configuration and alerts.

        a       b       c        hello-server and hello-ping on each, with the deployed options
         \\      |      /
           a bridge: here        Prometheus

Then, the probes from a to b are dropped until an alert fires, and let through until it ends. Everything that takes
minutes in use takes seconds here: the intervals, the windows of the rules and the time before they fire are divided by
30, and probes are sent ten times a second.

Usage: mesh.py SERVER PING DEPLOY DIRECTORY. Prints what Prometheus saw, and the result of each query of the
dashboards.
"""
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from namespace import PORT, Machine, ip, replace_file

_, SERVER, PING, DEPLOY, DIRECTORY = sys.argv
DEPLOY, DIRECTORY = Path(DEPLOY), Path(DIRECTORY)
ADDRESSES = {"a": "10.85.0.1", "b": "10.85.0.2", "c": "10.85.0.3"}
HERE = "10.85.0.254"
FASTER = 30
PROMETHEUS = "127.0.0.1:9090"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Of each kind of resource, its metrics.
PORTS = {"hello-server": 9990, "hello-ping": 9991}
# The longest wait for anything; a test machine may be busy.
LONGEST = 40


def deployed_arguments(first):
    """Returns the arguments of the container whose first one is this."""
    lines = (DEPLOY / "kubernetes/mesh/daemonset.yaml").read_text().splitlines()
    arguments = [json.loads(line.split("args: ")[1]) for line in lines if "args: " in line]
    (found,) = (one for one in arguments if one[0] == first)
    return found


def shorter(text):
    """Divides each duration of a configuration: of intervals, of `for`, and of windows in brackets."""

    def divided(match):
        return f"{match[1]}{int(match[2]) * SECONDS[match[3]] * 1000 // FASTER}ms{match[4]}"

    text = re.sub(r"((?:_interval|for): )(\d+)([smhd])()$", divided, text, flags=re.MULTILINE)
    return re.sub(r"(\[)(\d+)([smhd])(\])", divided, text)


def query(path, **parameters):
    """Asks Prometheus. While it starts, there is no answer."""
    url = f"http://{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=LONGEST) as response:
            return json.load(response)["data"]
    except urllib.error.HTTPError as error:
        return {"error": error.read().decode()}
    except OSError:
        return {}


def is_healthy(address):
    """Returns what a probe of Kubernetes would."""
    try:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=LONGEST) as response:
            return response.status == 200
    except OSError:
        return False


def values(expression):
    return query("query", query=expression).get("result", [])


def firing():
    """Returns the critical alerts that fire, and notes them. What the others are about, single losses, latency and
    late probes, depends on what else this machine does."""
    found = [one for one in query("alerts").get("alerts", []) if one["state"] == "firing"]
    found = [one for one in found if one["labels"]["severity"] == "critical"]
    for alert in found:
        noted = {**alert["labels"], **alert["annotations"]}
        if noted not in fired:
            fired.append(noted)
    return found


def wait_until(what, condition):
    """Waits until a condition holds, and returns the seconds that took."""
    start = time.monotonic()
    while not condition():
        for process in processes:
            assert process.poll() is None, f"{process.args} ended: {(DIRECTORY / 'log').read_text()}"
        waited = time.monotonic() - start
        assert waited < LONGEST, f"after {waited} s not: {what}; {firing()}, {values('up')}, {values('hello_ping:path_up')}"
        time.sleep(0.1)
    return round(time.monotonic() - start, 1)


def evaluate(dashboard):
    """Returns the number of series of each query of a dashboard, with all sources and targets; or an error."""
    panels = json.loads((DEPLOY / "grafana" / f"{dashboard}.json").read_text())["panels"]
    counts = {}
    for panel in panels:
        for target in panel.get("targets", []):
            expression = re.sub(r"\$__(rate_interval|range|interval)", "10s", target["expr"])
            data = query("query", query=re.sub(r"\$\w+", ".*", expression))
            counts[f'{panel["title"]}: {target["expr"]}'] = data.get("error") or len(data["result"])
    return counts


def configure():
    """Writes the deployed configuration with our own machines, and shorter times."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    (DIRECTORY / "targets").mkdir(parents=True)
    for name in "prometheus.yml", "alerts.yml":
        (DIRECTORY / name).write_text(shorter((DEPLOY / "prometheus" / name).read_text()))
    for job in "hello-server", "hello-ping", "node":
        listed = [f"{address}:{PORTS[job]}" for address in ADDRESSES.values()] if job in PORTS else []
        (DIRECTORY / "targets" / f"{job}.yml").write_text(json.dumps([{"targets": listed}]))
    shutil.copy(DEPLOY / "kubernetes/mesh/targets", DIRECTORY / "hello-mesh")
    replace_file("/etc/hosts", "".join(f"{address} hello-mesh\n" for address in ADDRESSES.values()))


def connect():
    """Returns the machines, on a bridge."""
    ip("link", "set", "dev", "lo", "up")
    ip("link", "add", "bridge", "type", "bridge")
    ip("address", "add", f"{HERE}/24", "dev", "bridge")
    ip("link", "set", "dev", "bridge", "up")
    machines = {name: Machine() for name in ADDRESSES}
    for name, machine in machines.items():
        pid = str(machine.process.pid)
        ip("link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", pid)
        ip("link", "set", "dev", name, "master", "bridge", "up")
        machine.ip("address", "add", f"{ADDRESSES[name]}/24", "dev", "eth0")
        machine.ip("link", "set", "dev", "eth0", "up")
    return machines


def start(*command):
    log = open(DIRECTORY / "log", "a")
    processes.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log))


def all_answer():
    return len(values("hello_ping:path_up == 1")) == len(ADDRESSES) * (len(ADDRESSES) - 1)


fired, processes = [], []
configure()
machines = connect()
try:
    for name, machine in machines.items():
        start(*machine.inside, SERVER, *deployed_arguments("--bind"))
        places = {"$(POD_IP)": ADDRESSES[name], "/etc/hello/targets": DIRECTORY / "hello-mesh"}
        arguments = [places.get(word, word) for word in deployed_arguments("--targets")]
        start(*machine.inside, PING, *arguments, "--interval", "100ms")
    addresses = [f"{address}:{port}" for address in ADDRESSES.values() for port in PORTS.values()]
    wait_until("every program is healthy", lambda: all(is_healthy(address) for address in addresses))
    paths = {"config.file": DIRECTORY / "prometheus.yml", "storage.tsdb.path": DIRECTORY / "data"}
    options = [f"--{option}={path}" for option, path in paths.items()]
    start("prometheus", *options, f"--web.listen-address={PROMETHEUS}")

    seen = {"ready": wait_until("every target is up", lambda: len(values("up == 1")) == len(addresses))}
    seen["answered"] = wait_until("every path has answers", all_answer)
    before = list(fired)
    seen["paths"] = sorted(
        f'{one["metric"]["instance"]} {one["metric"]["target"]}' for one in values("hello_ping:path_up == 1")
    )

    rule = f"type filter hook input priority 0; ip saddr {ADDRESSES['a']} udp dport {PORT} drop;"
    rules = f"table inet cut {{\nchain in {{\n{rule}\n}}\n}}"
    subprocess.run((*machines["b"].inside, "nft", "-f", "-"), input=rules, check=True, text=True)
    seen["alerted"] = wait_until("an alert fires", firing)
    # What else would fire for this has the time to do so.
    seen["stays"] = wait_until("a second alert for the same would fire", lambda: values(
        f'hello_ping:path_up == 0 and hello_ping:path_up offset {4 * 60 * 1000 // FASTER}ms == 0'))
    firing()
    seen["dashboards"] = evaluate("hello-server") | evaluate("hello-paths")
    subprocess.run((*machines["b"].inside, "nft", "delete", "table", "inet", "cut"), check=True)
    seen["mended"] = wait_until("no alert fires", lambda: not firing())
    wait_until("every path has answers again", all_answer)
    firing()
    seen |= {"before": before, "fired": fired}
finally:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    statuses = [process.wait(timeout=LONGEST) for process in processes]
seen["statuses"] = statuses
print(json.dumps(seen))
for machine in machines.values():
    machine.end()
