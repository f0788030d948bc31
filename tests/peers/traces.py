"""Traces paths over routers, and compares them with what the routers count.

Usage: traces.py SERVER PING. Prints what was seen of each, by IP version.
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile

from lab import PORT, diamond

SERVER, PING = sys.argv[1:]
FLOWS = 8
PORTS = 40000
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def ping(*options, front=()):
    """Runs hello-ping, and returns its exit status and its lines."""
    done = subprocess.run((*front, PING, "--json", *options), stdout=subprocess.PIPE, text=True, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def trace(lab, version, flows, *options, front=()):
    """Traces flows, and returns the machines on the path of each, by its source port."""
    options = ("--trace", "--flows", str(flows), *options, f"{lab.target(version)}:{PORT}")
    if version == 6:
        options = (*options[:-1], f"[{lab.target(version)}]:{PORT}")
    return paths(lab, *ping(*options, front=front))


def paths(lab, status, lines):
    """Returns the exit status, and the end and the machines of each path, by source port."""
    found = [line for line in lines if line["event"] == "path"]
    names = {line["port"]: [line["end"], *(hop(lab, one) for one in line["hops"])] for line in found}
    return {"status": status, "paths": names}


def hop(lab, one):
    """Returns the names of a hop's machines, or "*"."""
    return "/".join(sorted({lab.name_of(router["address"]) for router in one["routers"]})) or "*"


def through(lab, name, version):
    """Returns the ports whose datagrams to the server a machine has counted."""
    return set(lab[name].arrivals()["there"][version])


def agrees(lab, version, found, flows=FLOWS):
    """Returns whether paths are those that the routers count."""
    if len(found["paths"]) != flows or found["status"] != 0:
        return found
    for port, path in found["paths"].items():
        (middle,) = (name for name in ("B1", "B2") if port in through(lab, name, version))
        if path != ["greeted", "A", middle, "C", "server"]:
            return [port, middle, path]
    both = {path[2] for path in found["paths"].values()}
    return sorted(both)


def other_tools(lab):
    """Returns the path of one port according to hello-ping, to mtr and to tracepath, which has a flow of its own."""
    lab.use_ports(PORTS, 1)
    (own,) = trace(lab, 4, 1)["paths"].values()
    target = lab.target(4)
    flow = ("--udp", "--port", str(PORT), "--localport", str(PORTS), "--no-dns", "--json")
    # A greeting ends no trace of mtr, which expects an error from the server.
    limits = ("--max-ttl", "3", "--report-cycles", "1", "--gracetime", "0.5")
    mtr = lab["client"].run("mtr", *flow, *limits, target)
    hubs = [lab.name_of(hub["host"]) for hub in json.loads(mtr)["report"]["hubs"]]
    lines = lab["client"].run("tracepath", "-n", target).splitlines()
    matched = [re.match(r" *\d+: +([0-9a-f.:]+) ", line) for line in lines]
    tracepath = list(dict.fromkeys(lab.name_of(match[1]) for match in matched if match))
    lab.use_ports(PORTS, FLOWS)
    return {"own": own[1:-1], "mtr": hubs, "tracepath": [tracepath[0], tracepath[2]]}


def lossy(lab, version):
    """Pings while a router loses datagrams, and returns what is made of the losses."""
    target = lab.target(version)
    target = f"[{target}]:{PORT}" if version == 6 else f"{target}:{PORT}"
    with lab["B1"].drop(percent=30, direction="there", version=version):
        options = ("--trace-on-loss", "--flows", str(FLOWS), "-i", "2ms", "-c", "800")
        status, lines = ping(*options, target)
    (verdict,) = (line for line in lines if line["event"] == "suspects")
    ports = {line["flow"]: line["port"] for line in lines if line["event"] == "path"}
    (summary,) = (line for line in lines if line["event"] == "summary")
    guilty = through(lab, "B1", version)
    return {
        "losing": {ports[flow] for flow in verdict["losing"]} == guilty & set(ports.values()),
        "all traced": len(ports) == FLOWS and len(verdict["losing"] + verdict["clean"]) == FLOWS,
        "suspects": [[lab.name_of(one["address"]), one["ttl"], one["certain"]] for one in verdict["routers"]],
        "counted": [
            summary["sent"] + sum(summary["not_sent"].values()),
            summary["sent"] - summary["lost"] - summary["answered"],
            summary["unsolicited"],
            summary["corrupt"],
        ],
    }


def broken(lab, version):
    """Traces past a router that is silent, to one that rejects, and to a port without a server."""
    seen = {}
    rules = lab["B1"].silence()
    found = trace(lab, version, FLOWS, "-W", "300ms")
    seen["silent"] = [found["status"], sorted({" ".join(path) for path in found["paths"].values()})]
    for rule in rules:
        rule.remove()
    with lab["B1"].reject(version, "admin-prohibited"):
        found = trace(lab, version, FLOWS, "-W", "300ms")
        seen["rejecting"] = [found["status"], sorted({" ".join(path) for path in found["paths"].values()})]
    target = lab.target(version)
    target = f"[{target}]:9" if version == 6 else f"{target}:9"
    found = paths(lab, *ping("--trace", target))
    seen["no server"] = [found["status"], *(path[0:2] + path[-1:] for path in found["paths"].values())]
    # A neighbour that is not there, about which this host's own system reports an error.
    neighbour = "10.80.1.99" if version == 4 else "fd80:1::99"
    found = paths(lab, *ping("--trace", neighbour))
    seen["no neighbour"] = [found["status"], *found["paths"].values()]
    return seen


with diamond() as lab, lab.serve(SERVER, "--limit", "off"):
    lab.use_ports(PORTS, FLOWS)
    results = {}
    for version in (4, 6):
        seen = results[version] = {}
        seen["true"] = agrees(lab, version, trace(lab, version, FLOWS))
        with tempfile.TemporaryDirectory() as directory:
            # A copy in a place that everybody can read.
            subprocess.run(("chmod", "755", directory), check=True)
            PING = shutil.copy(sys.argv[2], directory)
            seen["nobody"] = agrees(lab, version, trace(lab, version, FLOWS, front=NOBODY))
            PING = sys.argv[2]
        seen["broken"] = broken(lab, version)
        seen["lossy"] = lossy(lab, version)
    results["other tools"] = other_tools(lab)
    # The system's own limit, which a lab does not have.
    for name in ("A", "B1", "B2", "C"):
        lab[name].sysctl("net/ipv4/icmp_ratelimit", 1000)
    lab.use_ports(PORTS, 16)
    results["limited"] = agrees(lab, 4, trace(lab, 4, 16), 16)
print(json.dumps(results))
