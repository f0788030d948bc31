"""Sends 10,000 requests a second to a port that a router rejects: an ICMP error for each.

Usage: error_flood.py SERVER LOAD PING. Prints, for each tool, its summary, the number of packets that the router
rejected, that of errors that arrived, and the tool's peak of memory early in the run and late.
"""
import contextlib
import json
import subprocess
import sys
import time

from lab import PORT, line

_, SERVER, LOAD, PING = sys.argv
COUNT = 50000
# The number of errors after which the memory is compared with that at the end: after two timeouts, when every table
# has been in use.
EARLY = COUNT * 2 // 5


def peak(process):
    """Returns the most memory that a process had so far, in KiB."""
    with open(f"/proc/{process.pid}/status") as file:
        (kib,) = (text.split()[1] for text in file if text.startswith("VmHWM:"))
    return int(kib)


def received(lab):
    """Returns the number of "destination unreachable" that the client's system has received."""
    names, values = (text.split() for text in lab["client"].run("grep", "^Icmp:", "/proc/net/snmp").splitlines())
    return int(values[names.index("InDestUnreachs")])


def flood(lab, *command, match=""):
    """Runs a tool against the rejecting router."""
    with lab["A"].reject(4, "admin-prohibited", match=match) as rule:
        before, peaks = received(lab), {}
        command = (*command, f"{lab.target(4)}:{PORT}")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # The summary fits into the pipe. A process that has ended has no memory.
        while process.poll() is None:
            with contextlib.suppress(ValueError):
                peaks[rule.packets()] = peak(process)
            time.sleep(0.05)
        early = [kib for errors, kib in peaks.items() if errors <= EARLY]
        out, _ = process.communicate(timeout=120)
        return {
            "summary": out,
            "rejected": rule.packets(),
            "received": received(lab) - before,
            "early": early[-1],
            "late": list(peaks.values())[-1],
        }


with line() as lab, lab.serve(SERVER, "--limit", "off"):
    options = ("-c", str(COUNT), "-W", "1s")
    ping = flood(lab, PING, "-q", "--export-json", "-", "-i", "100us", "--allow-flood", *options)
    ping["summary"] = json.loads(ping["summary"])["results"][0]
    # A load to which nothing is answered ends early, so the router lets one in a hundred pass.
    some = "numgen inc mod 100 < 99"
    load = flood(lab, LOAD, "--json", "--remote", "--rate", "10k", *options, match=some)
    load["summary"] = json.loads(load["summary"].splitlines()[-1])
print(json.dumps({"ping": ping, "load": load}))
