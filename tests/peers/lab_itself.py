"""Shows that a lab has the paths, the counters and the faults that tests rely on.

Usage: lab_itself.py SERVER DIRECTORY. Prints what was seen of each, by IP version.
"""
import json
import re
import subprocess
import sys

from lab import PORT, REJECTS, diamond, line

PORTS = range(40000, 40016)
NAME = b"x" * 1400


def passed(node, direction, version):
    """Returns a machine's count of datagrams for each port."""
    return node.arrivals()[direction][version]


def total(node, direction, version):
    return sum(passed(node, direction, version).values())


def paths(lab, version):
    """Greets once from each port, and compares what each machine counts."""
    seen = {"greeted": all(lab.greet(version, port) == b"Hello, Tracy!" for port in PORTS)}
    for direction in ("there", "back"):
        one, other = (passed(lab[name], direction, version) for name in ("B1", "B2"))
        once = dict.fromkeys(PORTS, 1)
        seen[direction] = {
            "split": bool(one) and bool(other),
            "each port by one of both": one | other == once and not one.keys() & other.keys(),
            "all through A and C": all(passed(lab[name], direction, version) == once for name in ("A", "C")),
        }
    return seen


def by_ttl(lab, version):
    """Returns what becomes of a request that the first router, the last or none of them ends."""
    return [str(lab.greet(version, PORTS[0], ttl=ttl)) for ttl in (1, 3, 4)]


def traced(lab, version):
    """Returns the machines on the path of one port according to mtr and to the counters, and those on the path of a
    flow of its own according to tracepath."""
    target = lab.target(version)
    flow = ("--udp", "--port", str(PORT), "--localport", str(PORTS[0]))
    # Over IPv6, mtr sends nothing from a port that is given.
    flow = flow if version == 4 else flow[:3]
    command = ("mtr", f"-{version}", *flow, "--no-dns", "--json", "--report-cycles", "1", "--gracetime", "0.2")
    hubs = json.loads(lab["client"].run(*command, "--max-ttl", "3", target))["report"]["hubs"]
    mtr = [lab.name_of(hub["host"]) for hub in hubs]
    counted = next(name for name in ("B1", "B2") if PORTS[0] in passed(lab[name], "there", version))
    lines = lab["client"].run("tracepath", f"-{version}", "-n", target).splitlines()
    found = [re.match(r" *\d+: +([0-9a-f.:]+) ", text) for text in lines]
    path = dict.fromkeys(lab.name_of(match[1]) for match in found if match)
    return {"mtr": mtr, "counted": ["A", counted, "C"], "tracepath": list(path)}


def dropped(lab, version):
    """Drops on one path, at random and regularly, and each way."""
    seen = {}
    router = lab["B1"]
    ports = list(passed(router, "there", version))
    back = list(passed(router, "back", version))
    with router.drop(every=3, direction="there", version=version) as rule:
        got = [lab.greet(version, ports[0], timeout=0.1) is not None for _ in range(6)]
        seen["every third"] = [got, rule.packets()]
    with router.drop(direction="back") as rule:
        before = total(lab["server"], "there", version)
        got = lab.greet(version, back[0], timeout=0.1)
        seen["back"] = [got, rule.packets(), total(lab["server"], "there", version) - before]
    with router.drop(percent=50, match=f"udp sport {ports[0]}") as rule:
        got = [lab.greet(version, ports[0], timeout=0.1) is None for _ in range(20)]
        seen["half"] = [0 < sum(got) < 20, sum(got) == rule.packets()]
    seen["removed"] = lab.greet(version, ports[0]) is not None
    return seen


def rejected(lab, version):
    """Rejects with each kind of error, which the client's system reports."""
    errors = {}
    for kind in REJECTS[version]:
        with lab["C"].reject(version, kind):
            errors[kind] = lab.greet(version)
    return errors


def narrowed(lab, version):
    """Returns what becomes of a large request before a narrow link, with its message and without it."""
    client = lab["client"]
    with_message = [str(lab.greet(version, name=NAME, dont_fragment=True)) for _ in range(2)]
    # Forget the MTU.
    client.ip(f"-{version}", "route", "flush", "cache")
    rules = lab["A"].silence_too_big()
    without = lab.greet(version, name=NAME, timeout=0.3, dont_fragment=True)
    for rule in rules:
        rule.remove()
    return {"message": with_message, "black hole": without}


def silenced(lab, version):
    rules = lab["A"].silence()
    seen = lab.greet(version, ttl=1, timeout=0.1)
    for rule in rules:
        rule.remove()
    return [seen, lab.greet(version, ttl=1)]


def rerouted(lab, version):
    """Sends everything through B2, and returns what each path carries then."""
    lab.reroute("A", "server", "B2")
    before = [total(lab[name], "there", version) for name in ("B1", "B2")]
    greeted = all(lab.greet(version, port) for port in PORTS)
    after = [total(lab[name], "there", version) for name in ("B1", "B2")]
    lab.reroute("A", "server", "B1", "B2")
    return [greeted, [now - then for now, then in zip(after, before)]]


def flapped(lab, version):
    """Takes each end of a link down and up, and returns the number of ports that are answered meanwhile and then."""

    def answered():
        return sum(lab.greet(version, port, timeout=0.1) is not None for port in PORTS)

    seen = []
    # The replies take the path through B2 alone.
    lab.reroute("C", "client", "B2")
    for name, neighbour in (("A", "B1"), ("B1", "A")):
        lab.down(name, neighbour)
        meanwhile = answered()
        lab.up(name, neighbour)
        seen.append([meanwhile, answered()])
    lab.reroute("C", "client", "B1", "B2")
    return seen


def captured(lab, version, directory):
    """Returns the number of packets that a capture at the server has of one exchange."""
    file = f"{directory}/{version}.pcap"
    with lab["server"].capture(file):
        lab.greet(version)
    return lab["server"].run("tcpdump", "-n", "-r", file, f"udp port {PORT}", stderr=subprocess.DEVNULL).count("\n")


results = {"diamond": {}, "line": {}}
with diamond() as lab, lab.serve(sys.argv[1], "--max-name=4096"):
    for check in (paths, by_ttl, traced, dropped, rejected, silenced, rerouted, flapped):
        results["diamond"][check.__name__] = {version: check(lab, version) for version in (4, 6)}
    results["diamond"]["captured"] = {version: captured(lab, version, sys.argv[2]) for version in (4, 6)}
with line() as lab, lab.serve(sys.argv[1], "--max-name=4096"):
    results["line"]["greeted"] = {version: lab.greet(version) is not None for version in (4, 6)}
    lab.set_mtu("A", "server", 1300)
    results["line"]["narrowed"] = {version: narrowed(lab, version) for version in (4, 6)}
print(json.dumps(results, default=str))
