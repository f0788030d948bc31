"""Lets each tool print a link-local address, given with the number of its interface. Prints what they print."""
import json
import os
import socket
import subprocess
import sys

from namespace import PORT, ip

server, client, load, ping = sys.argv[1:]
ip("link", "set", "lo", "up")
ip("link", "add", "here", "type", "veth", "peer", "name", "there")
ip("link", "set", "dev", "there", "up")
ip("link", "set", "dev", "here", "addrgenmode", "none", "up")
ip("address", "add", "fe80::1/64", "dev", "here", "nodad")
target = f"[fe80::1%{socket.if_nametoindex('here')}]:{PORT}"
metrics = f"/tmp/hello-zones-{os.getpid()}.prom"
texts = {}


def run(what, *command, status=0):
    end = subprocess.run(command, capture_output=True, timeout=60, text=True)
    texts[what] = end.stdout + end.stderr
    if end.returncode != status:
        raise SystemExit(f"{what}: status {end.returncode}: {texts[what]}")


for form in [], ["--json"]:
    greeter = subprocess.Popen(
        [server, "--bind", target, *form], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    first = greeter.stdout.readline()
    run(f"ping {form}", ping, "-c", "2", "-i", "10ms", "-W", "20s", "--metrics-file", metrics, *form, target)
    run(f"load {form}", load, "--remote", "-c", "10", *form, target)
    if form:
        run("client", client, "--timeout", "20s", "--server", target, *form, "Tracy")
        run("bind", server, "--bind", target, status=2)
    greeter.terminate()
    texts[f"server {form}"] = first + greeter.communicate()[0]
    with open(metrics) as file:
        texts["metrics"] = file.read()
    os.unlink(metrics)
    run(f"refused ping {form}", ping, "-c", "1", "-W", "1ms", *form, target, status=1)
    run(f"refused client {form}", client, "--timeout", "1ms", "--server", target, *form, "Tracy", status=1)
print(json.dumps(texts))
