"""Sends probes to an address of the local network that no host has."""
import json
import subprocess
import sys

from namespace import Machine, ip, wire

_, _, CLIENT, PING, *OPTIONS = sys.argv

# The kernel sends its own reports over the loopback.
ip("link", "set", "dev", "lo", "up")
far = Machine()
wire(far, ["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::2/64"])
# The kernel reports the error when address resolution has failed, after about three seconds.
commands = [
    [PING, "-c", "3", "-i", "100ms", "-W", "5s", "--export-json", "-", *OPTIONS, host]
    for host in ("10.9.0.9", "fd09::9")
]
pings = [
    subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for command in commands
]
runs = []
for ping in pings:
    out, text = ping.communicate(timeout=60)
    runs.append({"summary": json.loads(out)["results"][0], "text": text, "status": ping.returncode})
client = subprocess.run(
    [CLIENT, "--server", "10.9.0.9", "--timeout", "5s", "--attempts", "1", "Tracy"], stderr=subprocess.PIPE, text=True
)
far.end()
print(json.dumps({"runs": runs, "client": client.stderr}))
