"""Finds a router that loses by the two commands of the README, over two equal paths.

Usage: two_commands.py SERVER PING. Prints, by the direction in which the router loses, the text of the join and
the number of datagrams that it dropped.
"""
import json
import os
import subprocess
import sys
import tempfile

from lab import diamond

_, SERVER, PING = sys.argv
OPTIONS = "--flows 8 -c 320 -i 5ms -W 300ms --trace-on-loss --plot paths.svg --json".split()

seen = {}
with diamond() as lab, lab.serve(SERVER, "--limit", "off"), tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    # Ports of which each path has some.
    lab.use_ports(40000, 8)
    for direction in ("there", "back"):
        with lab["B1"].drop(percent=30, direction=direction, version=4) as rule:
            with lab["server"].capture("server.pcap", match="udp"), open("run.jsonl", "w") as run:
                subprocess.run((PING, *OPTIONS, lab.target(4)), stdout=run, check=True)
            join = (PING, "--join", "run.jsonl", "--capture", "server.pcap")
            text = subprocess.run(join, stdout=subprocess.PIPE, check=True, text=True).stdout
            seen[direction] = {"text": text, "dropped": rule.packets()}
print(json.dumps(seen))
