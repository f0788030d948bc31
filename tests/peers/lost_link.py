"""Sends probes over a link that goes down after ten replies."""
import json
import subprocess
import sys

from namespace import PORT, Machine, Server, wire

_, SERVER, PING, *OPTIONS = sys.argv
PROBES, REPLIES = 30, 10

far = Machine()
near, _ = wire(far, ["10.9.0.1/24"], ["10.9.0.2/24"])
with Server(*far.inside, SERVER, "--json", "--quiet", "--bind", f"10.9.0.2:{PORT}"):
    command = [PING, "-c", str(PROBES), "-i", "50ms", "-W", "1s", "--max-loss", "1", "--export-json", "-"]
    ping = subprocess.Popen(
        [*command, *OPTIONS, "10.9.0.2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = []
    while sum(" bytes from " in line for line in lines) < REPLIES:
        lines.append(ping.stderr.readline())
    subprocess.run(("ip", "link", "set", "dev", near, "down"), check=True)
    out, rest = ping.communicate(timeout=60)
far.end()
summary = json.loads(out)["results"][0]
print(json.dumps({"summary": summary, "text": "".join(lines) + rest, "status": ping.returncode}))
