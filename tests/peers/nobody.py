"""Uses every option of hello-ping without any privilege.

Usage: nobody.py SERVER PING. Prints what came of each command, by IP version, and the options that no command has.
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

from lab import PORT, line
from namespace import open_to_all

_, SERVER, PING = sys.argv
(PING,) = open_to_all(PING)
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs")
# The first of the ports that the system chooses from, and their number.
ANY_PORT = 32768, 28232
# The options of the commands.
used = set()


def ping(*options):
    """Runs hello-ping as user nobody. Returns its exit status and its output."""
    options = [str(one) for one in options]
    used.update(one.split("=")[0] for one in options if re.match("-[-a-zA-Z46]", one))
    done = subprocess.run((*NOBODY, PING, *options), capture_output=True, text=True, timeout=120)
    assert not done.stderr, done
    return done.returncode, done.stdout


def lines(*options):
    """Returns the exit status, and the lines of JSON."""
    status, out = ping(*options, "--json")
    return status, [json.loads(text) for text in out.splitlines()]


def brief(status, events):
    """Returns what is compared of a run: the status, the number of answers, and that of losses by cause."""
    (summary,) = (one for one in events if one["event"] == "summary")
    lost = {one["cause"]: one["lost"] for one in summary["lost_causes"]}
    return [status, summary["answered"], lost]


def run(*options, interval="20ms"):
    return brief(*lines("-c", 6, "-i", interval, "-W", "400ms", *options))


def echo(lab, version):
    """Starts an echo server, and returns its port."""
    sock = lab["server"].socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((lab.target(version), 0))

    def serve():
        while True:
            data, source = sock.recvfrom(65536)
            sock.sendto(data, source)

    threading.Thread(target=serve, daemon=True).start()
    return sock.getsockname()[1]


def files(folder, target):
    """Writes every file that hello-ping can write. Returns the exit status, and which are not empty."""
    names = ("json", "csv", "markdown", "svg", "prom")
    paths = dict(zip(names, (os.path.join(folder, name) for name in names)))
    exports = (f"--export-{name}={paths[name]}" for name in ("json", "csv", "markdown"))
    others = ("--columns", "sent,lost", "--plot", paths["svg"], "--metrics-file", paths["prom"], "--every", "50ms")
    status, _ = ping("-c", 6, "-i", "20ms", *exports, *others, "-q", target)
    return [status, [name for name in names if os.path.getsize(paths[name]) > 0]]


def join(lab, version, folder, target):
    """Joins a run that loses replies with a capture. Returns where probes were lost, and the number of settled ones."""
    capture, recorded = os.path.join(folder, "pcap"), os.path.join(folder, "run")
    with lab["server"].capture(capture):
        with lab["A"].drop(every=2, direction="back", version=version):
            _, out = ping("-c", 10, "-i", "20ms", "-W", "400ms", "--json", target)
        # More than a timeout after the last probe.
        ping("-c", 2, "-i", "500ms", "-q", target)
    with open(recorded, "w") as file:
        file.write(out)
    options = ("--join", recorded, "--capture", capture, "--clocks-synchronised")
    status, events = lines(*options)
    # The server may send several replies as one packet, which is dropped as one.
    lost = {place: count for place, count in events[-1]["lost"].items() if count}
    return [status, list(lost), sum(lost.values()) + out.count('"event":"reply"')]


def fleet(folder, target):
    """Probes a target of a file. Returns the exit status, and the number of answers."""
    path = os.path.join(folder, "targets.txt")
    with open(path, "w") as file:
        file.write(f"{target}\n")
    options = ("--exclude", "192.0.2.9", "--lookup-interval", "9s", "--metrics-listen", 0)
    status, events = lines("-c", 2, "-i", "50ms", "--targets", path, *options)
    return [status, [one["answered"] for one in events if one["event"] == "target-summary"]]


def trace(lab, *options):
    """Returns the exit status, and the machines on each path."""
    status, events = lines("-W", "400ms", *options)
    paths = [
        " ".join([path["end"], *(lab.name_of(router["address"]) for hop in path["hops"] for router in hop["routers"])])
        for path in events
        if path["event"] == "path"
    ]
    return [status, len(paths), sorted(set(paths))]


def commands(lab, version, folder):
    """Returns what came of each command."""
    A, target = lab["A"], lab.target(version)
    family = f"-{version}"
    ip = "ip ttl 9 ip" if version == 4 else "ip6 hoplimit 9 ip6"
    seen = {}
    marked = A.rule("arrive", f"udp dport {PORT} {ip} dscp ef {ip.split()[-1]} ecn ect0 counter")
    marks = ("-Q", "ef", "--ecn", "ect0", "-t", 9)
    seen["marks"] = [run(family, *marks, "-I", "A", "-p", PORT, target), marked.packets()]
    seen["address"] = run("-I", lab["client"].address(version), "--flows", 3, "--dont-fragment", "-s", 99, target)
    seen["flood"] = run("--allow-flood", target, interval="100us")
    seen["echo"] = run("--peer", "echo", "-p", echo(lab, version), target)
    limits = ("--max-loss", 0, "--max-p99", "9s", "--max-jitter", "9s", "--max-outage", "9s")
    seen["limits"] = run(*limits, "-w", "20s", "--duration", "5s", target)
    status, text = ping("-c", 1, "-D", "--color", "always", target)
    seen["text"] = [status, bool(re.search(r"^\[\d+\.\d{6}\] 24 bytes from ", text, re.M))]
    seen["files"] = files(folder, target)
    seen["fleet"] = fleet(folder, target)
    seen["join"] = join(lab, version, folder, target)
    seen["TTL"] = run("-t", 1, target)
    with A.reject(version, "admin-prohibited"):
        seen["rejected"] = run("--flows", 3, target)
    seen["traced"] = trace(lab, "--trace", "--flows", 2, target)
    # All of one flow of two. Its trace ends at the router.
    lab.use_ports(40000, 2)
    with A.reject(version, "admin-prohibited", match="udp sport 40000"):
        options = ("-c", 20, "-i", "20ms", "-W", "200ms", "--flows", 2, "--trace-on-loss", target)
        status, events = lines(*options)
        paths = sorted(f"{one['port']} {one['end']}" for one in events if one["event"] == "path")
        seen["traced on loss"] = [status, paths]
    lab.use_ports(*ANY_PORT)
    lab.set_mtu("A", "server", 1400)
    seen["too big"] = run("-M", "probe", "-s", 1400, target)
    status, events = lines("--mtu", target)
    seen["MTU"] = [status, events[-1]["passed_bytes"], lab.name_of(events[-1]["reporter"])]
    lab.set_mtu("A", "server", 1500)
    return seen


with line() as lab, lab.serve(SERVER, "--max-name=4096"), tempfile.TemporaryDirectory() as directory:
    os.chmod(directory, 0o777)
    results = {version: commands(lab, version, directory) for version in (4, 6)}
for option in ("--help", "--version", "--generate=man"):
    ping(option)
_, text = ping("--help")
listed = re.findall(r"^ +(?:(-\w), )?(?:    )?(--[a-z0-9-]+)", text, re.M)
unused = sorted(long for short, long in listed if not {short, long} & used)
print(json.dumps(results | {"unused": unused, "listed": len(listed)}))
