"""Kills a server that answers in the driver, and starts others.

Usage: driver_killed.py SERVER. Prints the error of a second server, what was attached before and after the kill,
and whether the interface still works.
"""
import json
import subprocess
import sys

from driver_lab import FAR, FAR4, FAR6, Lab, udp

_, SERVER = sys.argv


def works():
    """Returns whether the machine refuses a request, now that no server has its port."""
    asking, target = udp(FAR4)
    asking.connect(target)
    asking.send(b"Tracy")
    try:
        return asking.recv(64)
    except ConnectionRefusedError:
        return True


def main():
    with Lab() as lab:
        with lab.serve(SERVER) as server:
            places = [lab.greet(FAR4), lab.greet(FAR6)]
            before = lab.attached()
            command = (*lab.machine.inside, SERVER, "--bind", f"{FAR4}:9998", "--xdp", FAR)
            second = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            places.append(lab.greet(FAR4))
            server.process.kill()
            server.process.wait()
            killed = lab.attached()
        without_server = works()
        with lab.serve(SERVER) as server:
            places += [lab.greet(FAR4), lab.greet(FAR6)]
            summary = server.summary()
        ended = lab.attached()
    result = {"places": places, "second": [second.stderr, second.returncode], "summary": summary}
    print(json.dumps(result | {"attached": [before, killed, ended], "works": without_server}))


main()
