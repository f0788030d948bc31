"""Lets servers report what they answer in the driver of a veth pair and in a bridge, which has no driver.

Usage: xdp_output.py SERVER CLIENT TEXTFILE. Prints the outputs of a run in text and of one in JSON, the metrics of
the latter, and the capabilities of its threads.
"""
import atexit
import glob
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

from namespace import Machine, Server, ip, late, wire
from xdp_pass import attach

SERVER, CLIENT, TEXTFILE = sys.argv[1:]
HERE, THERE = ["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::2/64"]
CAPABILITIES = ("CapEff", "CapPrm", "CapInh", "CapAmb")


def greet(*names, server="10.9.0.1", front=()):
    subprocess.run((*front, CLIENT, "--server", server, *names), check=True, stdout=subprocess.DEVNULL)


def capabilities(process):
    """Returns the capabilities of each thread, as one number."""
    threads = []
    for path in glob.glob(f"/proc/{process.pid}/task/*/status"):
        with open(path) as file:
            fields = (line.split() for line in file)
            threads.append([field[1] for field in fields if field[0].rstrip(":") in CAPABILITIES])
    return threads


def changed(server, interface):
    """Waits for the next state of an interface."""
    while (line := server.line())["event"] != "xdp" or line["interface"] != interface:
        pass
    return line


signal.signal(signal.SIGALRM, late)
ip("link", "set", "dev", "lo", "up")
machine = Machine()
# Its names for the ends are "there" and "here".
near, far = wire(machine, HERE, THERE)
for run, old, new in ((ip, near, "near"), (machine.ip, far, "far")):
    run("link", "set", "dev", old, "down")
    run("link", "set", "dev", old, "name", new)
    run("link", "set", "dev", new, "up")
# An interface that goes down loses its IPv6 addresses.
ip("address", "replace", HERE[1], "dev", "near", "nodad")
machine.ip("address", "replace", THERE[1], "dev", "far", "nodad")
ip("link", "add", "slow", "type", "bridge")

# Replies arrive at an end that has an XDP program, too.
other = subprocess.Popen(
    (*machine.inside, SERVER, "--bind", "127.0.0.1:0", "--xdp", "far"),
    stdout=subprocess.PIPE, text=True,
)
# Nothing may keep the output of this script open.
atexit.register(other.kill)
assert other.stdout.readline()
results = {}
options = ("--bind", "0.0.0.0", "--bind", "::", "--xdp", "near", "--xdp", "slow")
with subprocess.Popen((SERVER, *options), stdout=subprocess.PIPE, text=True) as server:
    signal.alarm(20)
    start = [server.stdout.readline() for _ in range(8)]
    signal.alarm(0)
    greet("Tracy", "Sarah", front=machine.inside)
    greet("Tracy", server="fd09::1", front=machine.inside)
    greet("Local")
    server.terminate()
    results["text"] = start + server.stdout.readlines()

command = (SERVER, "--json", *options, "--quiet", "--metrics-listen", "0", "--metrics-file", TEXTFILE)
with Server(*command) as server:
    lines = [server.listening, *(server.line() for _ in range(4))]
    greet("Tracy", server="fd09::1", front=machine.inside)
    greet("Local")
    # The client gets its reply a moment before it is counted.
    while results.get("snapshot", {}).get("answered") != 2:
        server.process.send_signal(signal.SIGUSR1)
        results["snapshot"] = server.line()
    results["capabilities"] = capabilities(server.process)
    with urllib.request.urlopen(f"http://{lines[-1]['address']}/metrics") as metrics:
        results["metrics"] = metrics.read().decode()
    ip("link", "delete", "dev", "near")
    changes = [changed(server, "near")]
    # Another one with a program gets its name.
    ip("link", "add", "spare", "type", "veth", "peer", "name", "other")
    program = attach("spare")
    ip("link", "set", "dev", "spare", "addrgenmode", "none", "name", "near")
    changes.append(changed(server, "near"))
    os.close(program)
    changes.append(changed(server, "near"))
    ip("link", "set", "dev", "near", "up")
    ip("address", "add", "10.9.1.1/24", "dev", "near")
    changes.append(changed(server, "near"))
    results.update({"start": lines, "changes": changes, "summary": server.summary()})

# With socket activation.
kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
kept.bind(("10.9.1.1", 0))
script = f'exec 3<&{kept.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
command = ("sh", "-c", script, "sh", SERVER, "--json", "--xdp", "near")
with subprocess.Popen(command, pass_fds=(kept.fileno(),), stdout=subprocess.PIPE, text=True) as server:
    signal.alarm(20)
    results["activated"] = [json.loads(server.stdout.readline()) for _ in range(2)]
    signal.alarm(0)
    server.terminate()
other.terminate()
other.communicate()
machine.end()
print(json.dumps(results))
