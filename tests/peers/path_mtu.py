"""Searches for the longest packet of paths with all kinds of limits, as user nobody.

Usage: path_mtu.py SERVER PING. Prints, by IP version and case, the result of the search and its status.
"""
import json
import subprocess
import sys

from lab import diamond, line
from namespace import open_to_all

_, SERVER, PING = sys.argv
(PING,) = open_to_all(PING)
LONG_NAMES = "--max-name=65499"


def search(lab, version, *options):
    """Runs a search. Returns its result, its number of probes of each size, and its status."""
    target = lab.target(version)
    command = (PING, "--mtu", "-W", "150ms", *options, target)
    ended = subprocess.run(command, capture_output=True, text=True, user="nobody", group="nogroup", extra_groups=[])
    assert not ended.stderr, ended.stderr
    if "--json" not in options:
        return {"text": ended.stdout, "status": ended.returncode}
    lines = [json.loads(text) for text in ended.stdout.splitlines()]
    return {"result": lines[-1], "status": ended.returncode, "lines": lines}


def brief(lab, version):
    """Returns what is compared of a search."""
    ended = search(lab, version, "--json")
    fields = ("passed_bytes", "limit", "reporter", "reported_mtu", "suspected_name_limit", "cause")
    return {name: ended["result"][name] for name in fields} | {"status": ended["status"]}


cases = {4: {}, 6: {}}
with line() as lab:
    with lab.serve(SERVER, LONG_NAMES):
        for version, seen in cases.items():
            seen["whole path"] = brief(lab, version)
            lab.set_mtu("A", "server", 1400)
            seen["router"] = brief(lab, version)
            seen["text"] = search(lab, version)["text"]
            seen["lines"] = search(lab, version, "--json")["lines"]
            rules = lab["A"].silence_too_big()
            seen["black hole"] = brief(lab, version)
            # Every fifth datagram, and so some of the small ones, and replies, too.
            with lab["A"].drop(every=5):
                seen["black hole with loss"] = brief(lab, version)
            for rule in rules:
                rule.remove()
            # The system has learned of the router's limit, which is gone.
            cached = lab["client"].run("ip", f"-{version}", "route", "get", lab.target(version))
            seen["cached"] = "mtu 1400" in cached
            lab.set_mtu("A", "server", 1500)
            seen["known limit that is gone"] = brief(lab, version)
            lab.set_mtu("client", "A", 1300)
            seen["own link"] = brief(lab, version)
            lab.set_mtu("client", "A", 1500)
            with lab["A"].reject(version, "admin-prohibited"):
                seen["prohibited"] = brief(lab, version)
    lab.set_mtu("A", "server", 1400)
    with lab.serve(SERVER):
        for version, seen in cases.items():
            seen["server"] = brief(lab, version)
            seen["quiet text"] = search(lab, version, "-q")["text"]
    for version, seen in cases.items():
        seen["nobody listens"] = brief(lab, version)

# The limit of one of two paths is that of some flows only.
with diamond() as lab, lab.serve(SERVER, LONG_NAMES):
    lab.set_mtu("A", "B1", 1400)
    for version, seen in cases.items():
        found = set()
        for port in range(40000, 40006):
            lab.use_ports(port, 1)
            passed = search(lab, version, "--json")["result"]["passed_bytes"]
            through = "B1" if port in lab["B1"].arrivals()["there"][version] else "B2"
            found.add((through, passed))
        seen["flows"] = sorted(found)
print(json.dumps(cases))
