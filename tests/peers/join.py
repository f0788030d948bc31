"""Loses requests or replies of a run on purpose, by nft on a router, while tcpdump records the packets at the
server, and joins the run with the capture.

Usage: join.py SERVER PING. Prints, for each direction and link type, the last line of the join, and that of a
join with half of the packets of the capture.
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

from namespace import PORT, Machine, Server, ip, wire

_, SERVER, PING = sys.argv
COUNT, TIMEOUT = 100, "200ms"

# What the router drops: every fourth packet of one direction.
RULES = {"there": f"udp dport {PORT}", "back": f"udp sport {PORT}"}


def halve(source, target):
    """Copies half of the packets of a pcap file, chosen at random with a seed."""
    with open(source, "rb") as file:
        data = file.read()
    kept, offset, choice = [data[:24]], 24, random.Random(1)
    while offset < len(data):
        end = offset + 16 + struct.unpack_from("<I", data, offset + 8)[0]
        if choice.random() < 0.5:
            kept.append(data[offset:end])
        offset = end
    with open(target, "wb") as file:
        file.write(b"".join(kept))


def join(run, capture):
    command = (PING, "--join", run, "--capture", capture, "--json", "--quiet")
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


ip("link", "set", "dev", "lo", "up")
router, far = Machine(), Machine()
router.sysctl("net/ipv4/ip_forward", 1)
wire(router, ["10.9.1.1/24"], ["10.9.1.2/24"])
_, device = wire(far, ["10.9.2.1/24"], ["10.9.2.2/24"], other=router)
ip("route", "add", "default", "via", "10.9.1.2")
far.ip("route", "add", "default", "via", "10.9.2.1")

results = []
with Server(*far.inside, SERVER, "--json", "--quiet", "--bind", f"10.9.2.2:{PORT}"):
    with tempfile.TemporaryDirectory() as folder:
        run, capture, half = (os.path.join(folder, name) for name in ("run.jsonl", "server.pcap", "half.pcap"))
        os.chmod(folder, 0o777)
        for place, rule in RULES.items():
            for interface in (device, "any"):
                rules = f"""
                    flush ruleset
                    table ip t {{
                        chain c {{
                            type filter hook forward priority 0;
                            {rule} numgen inc mod 4 == 1 drop
                        }}
                    }}
                """
                subprocess.run((*router.inside, "nft", "-f", "-"), input=rules, text=True, check=True)
                tcpdump = (*far.inside, "tcpdump", "-i", interface, "-U", "-n", "-w", capture, "udp")
                recorder = subprocess.Popen(tcpdump, stderr=subprocess.PIPE, text=True)
                while "listening on" not in recorder.stderr.readline():
                    assert recorder.poll() is None, "tcpdump does not start"
                with open(run, "w") as out:
                    command = (PING, "--json", "-c", str(COUNT), "-i", "5ms", "-W", TIMEOUT, "10.9.2.2")
                    subprocess.run(command, stdout=out, check=True)
                # A packet behind the timeout of the last probe: the capture covers the whole run.
                end = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'end', ('10.9.2.1', 9))"
                subprocess.run((*far.inside, "python3", "-c", end), check=True)
                while b"end" not in open(capture, "rb").read():
                    assert recorder.poll() is None, "tcpdump ended"
                recorder.terminate()
                recorder.communicate()
                halve(capture, half)
                results.append({"place": place, "join": join(run, capture), "half": join(run, half)})
router.end()
far.end()
print(json.dumps(results))
