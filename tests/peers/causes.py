"""Shows what the tools make of every kind of ICMP error, of silence, and of forged errors, as user nobody.

Usage: causes.py SERVER CLIENT LOAD PING. Prints what was seen of each case, by IP version.

The client sends to ports of the server, of which a router, B, rejects each with another error:

    client - A - B - server
"""
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lab import REJECTS, line
from namespace import PORT, open_to_all

_, SERVER, *TOOLS = sys.argv
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PROBES = 3
# Longer than the MTU of the bottleneck, over both IP versions.
NARROW, LONG = 1400, 1400
# Of one rule for each port.
FIRST_PORT = 10000
# The number of cases that run at once.
AT_ONCE = 8


def to(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def run(tool, *arguments, user=NOBODY):
    """Runs a tool, and returns its lines."""
    done = subprocess.run((*user, tool, "--json", *arguments), capture_output=True, text=True, timeout=120)
    printed = done.stdout
    assert printed.startswith("{"), done
    return [json.loads(text) for text in printed.splitlines()], done


def of_event(lines, event):
    return [one for one in lines if one["event"] == event]


def cause_of(one):
    """Returns a cause as text, such as "too-big 1400 10.80.2.2"."""
    return " ".join(str(one[name]) for name in ("cause", "mtu", "reporter") if one[name] is not None)


def ping(target, *options, probes=PROBES):
    """Pings. Returns the summary, the causes of the lost probes, and those that the errors had, by probe."""
    lines, _ = run(PING, "-c", str(probes), "-i", "10ms", "-W", "400ms", *options, target)
    (summary,) = of_event(lines, "summary")
    lost = [(one["seq"], cause_of(one)) for one in of_event(lines, "lost")]
    errors = [(one["seq"], cause_of(one | {"cause": one["class"]})) for one in of_event(lines, "error")]
    return summary, lost, errors


def counts(summary):
    """Returns the numbers of lost requests by cause, of errors by kind, and of what else became of requests."""
    lost = {cause_of(one): one["lost"] for one in summary["lost_causes"]}
    return lost, summary["errors"], summary["answered"], summary["unattributed"], summary["not_sent"]


def only(cause, requests):
    """Returns the counts if each request was lost for a cause."""
    kind = cause.split()[0]
    return {cause: requests}, {} if kind == "silent" else {kind: requests}, 0, 0, {}


def cause_of_pings(target, *options):
    """Returns the cause of each loss, if it is the same in the lines and the summary and that of one error."""
    summary, lost, errors = ping(target, *options)
    cause = lost[0][1]
    each = [(seq, cause) for seq in range(1, PROBES + 1)]
    as_expected = [counts(summary), lost, errors] == [only(cause, PROBES), each, [] if cause == "silent" else each]
    return cause if as_expected else [summary, lost, errors]


def cause_of_load(target, *options, timeout="400ms"):
    """Returns the cause of each loss of a load, if there is one."""
    lines, _ = run(LOAD, "-c", "5", "--outstanding", "5", "--remote", "-W", timeout, *options, target)
    (summary,) = of_event(lines, "summary")
    if not summary["lost_causes"]:
        return summary
    cause = cause_of(summary["lost_causes"][0])
    return cause if counts(summary) == only(cause, 5) else summary


def headline(target):
    """Returns the headline of a load."""
    return run(LOAD, "-c", "5", "-W", "100ms", "--remote", target)[0][-1]["headline"]


def halved(lab, version):
    """Sends loads of two requests in one call, of which the router rejects the first. Returns all that is counted."""
    options = ("-c", "2", "--outstanding", "2", "--remote", "-W", "400ms")
    with lab["B"].reject(version, "admin-prohibited", match="numgen inc mod 2 < 1"):
        runs = [run(LOAD, *options, to(lab.target(version), PORT))[0][-1] for _ in range(3)]
    return [counts(summary)[:4] for summary in runs]


def cause_of_client(target):
    """Returns the cause of a name without a reply."""
    lines, _ = run(CLIENT, "--server", target, "--attempts", "1", "--timeout", "400ms", "Tracy")
    (unanswered,) = of_event(lines, "unanswered")
    (server,) = unanswered["servers"]
    return cause_of(server) if "cause" in server else server["reason"]


def all_tools(target):
    cause = cause_of_pings(target)
    # A load that is refused ends after 0.3 s, whatever is in flight.
    timeout = "100ms" if "refused" in cause else "400ms"
    return [cause, cause_of_load(target, timeout=timeout), cause_of_client(target)]


def narrow(lab, version):
    """Returns what becomes of packets that are longer than a router's next link takes."""
    target, long = to(lab.target(version), PORT), ("-s", str(LONG), "-M")
    # The router's first message makes the following ones too long for the system.
    summary, lost, errors = ping(target, *long, "do")
    (count, *_, not_sent) = counts(summary)
    stopped = lost == errors and len(lost) + not_sent.get("too-long", 0) == PROBES
    seen = {"do": [stopped, *count], "probe": [cause_of_pings(target, *long, "probe")]}
    seen["probe"].append(cause_of_load(target, *long, "probe"))
    rules = lab["B"].silence_too_big()
    seen["black hole"] = [cause_of_pings(target, *long, "probe"), cause_of_load(target, *long, "probe")]
    for rule in rules:
        rule.remove()
    return seen


def limited(lab, version):
    """Returns the causes when a router reports only some errors, as it does unless it is set up otherwise."""
    summary, lost, errors = ping(to(lab.target(version), FIRST_PORT + 1), probes=20)
    reported = [one for one in lost if one[1] != "silent"]
    return {
        "causes": sorted({cause for _, cause in lost}),
        "all lost": [seq for seq, _ in lost] == list(range(1, 21)),
        "as reported": reported == errors,
        "unattributed": summary["unattributed"],
    }


def cases(lab, version):
    """Yields the name of each case, with a function that runs it."""
    B, target = lab["B"], lab.target(version)
    for port, kind in enumerate(REJECTS[version], FIRST_PORT + 1):
        B.reject(version, kind, direction=None, match=f"udp dport {port}")
        yield kind, lambda port=port: all_tools(to(target, port))
        if kind == "port-unreachable":
            yield "who refuses", lambda port=port: headline(to(target, port))
    silent = FIRST_PORT + 99
    B.drop(version=version, match=f"udp dport {silent}")
    yield "silent router", lambda: all_tools(to(target, silent))
    yield "no server", lambda: all_tools(to(target, FIRST_PORT))
    yield "no host", lambda: all_tools(to(target[:-1] + "9", PORT))
    for ttl in (1, 2):
        yield f"TTL {ttl}", lambda ttl=ttl: cause_of_pings(to(target, PORT), "-t", str(ttl))
    marks = ("-Q", "ef", "--ecn", "ect0", "--flows", "3", "-M", "do", "-t", "9")
    yield "marked", lambda: cause_of_pings(to(target, FIRST_PORT + 1), *marks)


with line("A", "B") as lab, lab.serve(SERVER):
    CLIENT, LOAD, PING = open_to_all(*TOOLS)
    # A search for an absent host ends soon.
    for name in ("net/ipv4/neigh/server", "net/ipv6/neigh/server"):
        lab["B"].sysctl(f"{name}/mcast_solicit", 1)
        lab["B"].sysctl(f"{name}/retrans_time_ms", 50)
    results = {4: {}, 6: {}}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = [
            (version, name, pool.submit(case)) for version in results for name, case in list(cases(lab, version))
        ]
        for version, name, case in started:
            results[version][name] = case.result()
    for version, seen in results.items():
        seen["halved"] = halved(lab, version)
    lab.set_mtu("B", "server", NARROW)
    for version, seen in results.items():
        seen["narrow"] = narrow(lab, version)
    lab["B"].sysctl("net/ipv4/icmp_ratelimit", 1000)
    lab["B"].sysctl("net/ipv6/icmp/ratelimit", 1000)
    for version, seen in results.items():
        seen["limited"] = limited(lab, version)
print(json.dumps(results))
