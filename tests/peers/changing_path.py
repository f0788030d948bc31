"""Pings a server, as an unprivileged user, over two paths between four network namespaces.

    here - near router - server
                |          |
              second router

The replies come directly, and from the tenth on by the second router. After that, packets of different sizes are
sent in each mode of fragmentation, first over a link of this host with a small MTU, then over one of the near
router. Usage: changing_path.py SERVER PING. Prints what hello-ping printed, by address family.
"""
import json
import subprocess
import sys

from namespace import PORT, Machine, Server, ip, wire

_, SERVER, PING = sys.argv
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SERVERS = {"4": "10.9.2.2", "6": "2001:db8:2::2"}
REPLIES = 10
# An IPv6 link has an MTU of at least 1280 bytes. The server sends IPv6 replies over 1500 bytes as packets of 1280.
LINK_MTU, OVER_LINK = 1400, 1460
ROUTER_MTU, OVER_ROUTER = 1300, 1380

ip("link", "set", "dev", "lo", "up")
near, second, far = Machine(), Machine(), Machine()
link = wire(near, ["10.9.1.1/24", "2001:db8:1::1/64"], ["10.9.1.2/24", "2001:db8:1::2/64"])
direct = wire(far, ["10.9.2.1/24", "2001:db8:2::1/64"], ["10.9.2.2/24", "2001:db8:2::2/64"], other=near)
wire(second, ["10.9.3.1/24", "2001:db8:3::1/64"], ["10.9.3.2/24", "2001:db8:3::2/64"], other=far)
wire(near, ["10.9.4.1/24", "2001:db8:4::1/64"], ["10.9.4.2/24", "2001:db8:4::2/64"], other=second)
for router in near, second:
    router.sysctl("net/ipv4/ip_forward", 1)
    router.sysctl("net/ipv6/conf/all/forwarding", 1)
for machine in near, second, far:
    # Packets come from where no route leads back.
    anywhere = "for one in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $one; done"
    subprocess.run((*machine.inside, "sh", "-c", anywhere), check=True)
DEFAULT = {"4": "0.0.0.0/0", "6": "::/0"}
for family, gateway in ("4", "10.9.1.2"), ("6", "2001:db8:1::2"):
    ip(f"-{family}", "route", "add", DEFAULT[family], "via", gateway)
for family, gateway in ("4", "10.9.4.2"), ("6", "2001:db8:4::2"):
    second.ip(f"-{family}", "route", "add", DEFAULT[family], "via", gateway)


def reply_by(family, gateway):
    far.ip(f"-{family}", "route", "replace", DEFAULT[family], "via", gateway)


def ping(family, *options):
    """Starts hello-ping, which prints JSON."""
    command = (*NOBODY, PING, "--json", "-W", "500ms", *options, SERVERS[family])
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def summary(process, lines=()):
    """Waits for the end, and returns the replies and the summary."""
    rest, err = process.communicate(timeout=60)
    events = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    replies = [event["ttl"] for event in events if event["event"] == "reply"]
    return {"ttls": replies, "summary": events[-1], "err": err, "status": process.returncode}


def changed(family):
    """Pings while the path of the replies changes."""
    reply_by(family, {"4": "10.9.2.1", "6": "2001:db8:2::1"}[family])
    process, lines = ping(family, "-c", "40", "-i", "20ms"), []
    while sum('"event":"reply"' in line for line in lines) < REPLIES:
        lines.append(process.stdout.readline())
    reply_by(family, {"4": "10.9.3.2", "6": "2001:db8:3::2"}[family])
    return summary(process, lines)


def modes(family, size):
    """Sends packets that are too long for the path in each mode."""
    options = ("-c", "4", "-i", "50ms", "-s", str(size))
    return {mode: summary(ping(family, *options, "-M", mode)) for mode in ("do", "want", "dont", "probe")}


def set_mtu(mtu, *ends):
    """Sets the MTU of both ends of a wire."""
    for run, device in ends:
        run("link", "set", "dev", device, "mtu", str(mtu))


OF_LINK = (ip, link[0]), (near.ip, link[1])
OF_ROUTER = (near.ip, direct[0]), (far.ip, direct[1])
results = {}
binds = [f"--bind=10.9.2.2:{PORT}", f"--bind=[2001:db8:2::2]:{PORT}"]
with Server(*far.inside, SERVER, "--json", "--quiet", "--max-name=4096", *binds) as server:
    server.line()
    for family in SERVERS:
        results[family] = {"changed": changed(family)}
        reply_by(family, {"4": "10.9.2.1", "6": "2001:db8:2::1"}[family])
        set_mtu(LINK_MTU, *OF_LINK)
        results[family]["link"] = modes(family, OVER_LINK)
        set_mtu(1500, *OF_LINK)
        set_mtu(ROUTER_MTU, *OF_ROUTER)
        results[family]["router"] = modes(family, OVER_ROUTER)
        set_mtu(1500, *OF_ROUTER)
print(json.dumps(results))
for one in near, second, far:
    one.end()
