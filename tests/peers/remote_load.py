"""Loads an address outside the loopback, first without --remote and then with it."""
import json
import signal
import subprocess
import sys

from namespace import Server, ip

SERVER, LOAD = sys.argv[1:]
ADDRESS = "192.0.2.1"

ip("link", "set", "lo", "up")
ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
with Server(SERVER, "--json", "--quiet", "--bind", f"{ADDRESS}:0") as server:
    command = [LOAD, "--count", "40", "--outstanding", "4", "-W", "20s", "--json"]
    target = server.listening["address"]
    refused = subprocess.run([*command, target], stderr=subprocess.PIPE, timeout=20)
    server.process.send_signal(signal.SIGUSR1)
    before = server.line()
    allowed = subprocess.run([*command, "--remote", target], stdout=subprocess.PIPE, timeout=60)
    print(json.dumps({
        "refused": refused.returncode,
        "received_before": before["received"],
        "status": allowed.returncode,
        "load": json.loads(allowed.stdout.splitlines()[-1]),
        "server": server.summary(),
    }))
