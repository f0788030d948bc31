"""Sends requests to a server that answers on a bridge, which has no driver of its own that runs XDP programs.

Usage: driver_generic.py SERVER. Prints where XDP runs, where requests with a partial checksum and with a whole one
were answered, and the error of a second server.
"""
import json
import subprocess
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR, Lab, fill_in_checksums, ip, wire

_, SERVER = sys.argv
BRIDGE, OTHER4 = "bridge", "10.9.1.1"
NAMES = (b"", b"Tracy", b"x" * 1024, b"m" * 1224)


def answer_in_large_frames(lab):
    """Gives the other wire an MTU that the driver of a veth pair runs no program for. Returns the mode, and where
    requests were answered."""
    wire(lab.machine, ["10.9.1.100/24"], [f"{OTHER4}/24"], names=("there1", "here1"))
    for run, device in ((ip, "there1"), (lab.machine.ip, "here1")):
        run("link", "set", "dev", device, "mtu", "9000")
    fill_in_checksums("there1")
    with lab.serve(SERVER, "--max-name", "9000", xdp=("here1",)):
        lab.greet(OTHER4, b"x" * 8900)
        return lab.attached("here1"), lab.greet(OTHER4)


def main():
    with Lab() as lab:
        lab.machine.ip("link", "add", BRIDGE, "type", "bridge")
        lab.machine.ip("link", "set", "dev", FAR, "master", BRIDGE)
        lab.machine.ip("address", "flush", "dev", FAR)
        lab.machine.ip("link", "set", "dev", BRIDGE, "addrgenmode", "none", "up")
        lab.machine.ip("address", "add", f"{FAR4}/24", "dev", BRIDGE)
        lab.machine.ip("address", "add", f"{FAR6}/64", "nodad", "dev", BRIDGE)
        with lab.serve(SERVER, "--max-name", "2000", xdp=(BRIDGE,)) as server:
            attached = lab.attached(BRIDGE)
            partial = [lab.greet(address, name) for address in (FAR4, FAR6) for name in NAMES]
            fill_in_checksums(NEAR)
            whole = [lab.greet(address, name) for address in (FAR4, FAR6) for name in NAMES]
            command = (*lab.machine.inside, SERVER, "--bind", f"{FAR4}:9998", "--xdp", BRIDGE)
            second = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            server.process.kill()
            server.process.wait()
            killed = lab.attached(BRIDGE)
        wide, large = answer_in_large_frames(lab)
    print(json.dumps({
        "attached": attached, "killed": killed, "wide": wide, "large": large, "partial": partial, "whole": whole,
        "second": [second.stderr, second.returncode],
    }))


main()
