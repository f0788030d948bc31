"""Deletes the interface in whose driver a server answers, and creates it again.

Usage: driver_returning.py SERVER. Prints where requests were answered before, meanwhile, and afterwards, and the
capabilities of the server's threads.
"""
import glob
import json
import re
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR, NEAR4, NEAR6, PORT, Lab, ip

_, SERVER = sys.argv
OTHER4 = "10.9.1.1"


def capabilities(server):
    """Returns the effective and the permitted capabilities of all threads."""
    found = set()
    for path in glob.glob(f"/proc/{server.process.pid}/task/*/status"):
        with open(path) as status:
            found |= set(re.findall(r"^Cap(?:Eff|Prm):\s*(\w+)$", status.read(), re.M))
    return [int(capabilities, 16) for capabilities in found]


def return_to(lab, until_in_driver=True):
    """Creates the interface again, with a number that it always has."""
    near, far = [f"{NEAR4}/24", f"{NEAR6}/64"], [f"{FAR4}/24", f"{FAR6}/64"]
    lab.wire(near, far, far_options=("index", "99"))
    for address in (FAR4, FAR6) if until_in_driver else ():
        lab.until_in_driver(address)


def rename(lab):
    """Gives the interface another name for a moment."""
    for name, other in ((FAR, "renamed"), ("renamed", FAR)):
        lab.machine.ip("link", "set", "dev", name, "down", "name", other)
        lab.machine.ip("link", "set", "dev", other, "up")
    lab.until_in_driver(FAR4)


def be_late(lab, server):
    """Lets another server have the driver of the interface when it is back, until that server is killed."""
    server.stop()
    ip("link", "del", "dev", NEAR)
    return_to(lab, until_in_driver=False)
    with lab.serve(SERVER, bind=[f"{FAR4}:{PORT - 1}"]) as other:
        server.resume()
        place = lab.greet(FAR4, port=PORT - 1), lab.greet(FAR4)
        other.process.kill()
        other.process.wait()
    lab.until_in_driver(FAR4)
    return place


def main():
    with Lab() as lab:
        lab.wire(["10.9.1.100/24"], [f"{OTHER4}/24"], names=("there1", "here1"))
        with lab.serve(SERVER) as server:
            places = [lab.greet(FAR4), lab.greet(FAR6), lab.greet(OTHER4)]
            for _ in range(2):
                ip("link", "del", "dev", NEAR)
                places.append(lab.greet(OTHER4))
                return_to(lab)
            # Before the server notices: the same number is another interface then.
            server.stop()
            ip("link", "del", "dev", NEAR)
            return_to(lab, until_in_driver=False)
            server.resume()
            for address in (FAR4, FAR6):
                lab.until_in_driver(address)
            rename(lab)
            late = be_late(lab, server)
            held = capabilities(server)
            summary = server.summary()
    print(json.dumps({"places": places, "capabilities": held, "late": late, "event": summary["event"]}))


main()
