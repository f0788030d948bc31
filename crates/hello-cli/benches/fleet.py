"""What hello-ping --targets takes: processor time and memory for each probe of a fleet.

Usage: fleet.py DIRECTORY [TARGETS [SECONDS [INTERVAL]]]

DIRECTORY has the release binaries. One hello-server at 0.0.0.0 answers at every address of the loopback,
so the times include the kernel's whole path there. Prints one line of JSON.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time


def main(directory, targets=1000, seconds=30, interval="1s"):
    targets, seconds = int(targets), float(seconds)
    server = subprocess.Popen(
        [f"{directory}/hello-server", "--bind", "0.0.0.0:0", "--json", "--quiet"],
        stdout=subprocess.PIPE, text=True)
    port = json.loads(server.stdout.readline())["address"].rsplit(":", 1)[1]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "targets"
        hosts = (f"127.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(256, 256 + targets))
        path.write_text("".join(f"{host}:{port}\n" for host in hosts))
        ping = subprocess.Popen(
            [f"{directory}/hello-ping", "--targets", path, "-i", interval, "--json", "--quiet"],
            stdout=subprocess.PIPE, text=True)
        # The first line comes before the first probe. The start and the end of the process do not count.
        ping.stdout.readline()
        process = pathlib.Path("/proc") / str(ping.pid)
        times = [used(process)]
        time.sleep(seconds)
        times.append(used(process))
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        descriptors = len(os.listdir(process / "fd"))
        ping.send_signal(signal.SIGINT)
        lines = [json.loads(line) for line in ping.stdout]
        ping.wait()
    server.terminate()
    server.wait()
    summaries = [line for line in lines if line["event"] == "target-summary"]
    sent = sum(line["sent"] for line in summaries)
    # Between the two readings, the clock of the system is as good as any.
    (user, system), elapsed = [b - a for a, b in zip(*times)][:2], times[1][2] - times[0][2]
    print(json.dumps({
        "targets": targets,
        "seconds": round(elapsed, 3),
        "processor_percent": round(100 * (user + system) / elapsed, 2),
        "user_s": user,
        "system_s": system,
        "max_rss_kib": int(status["VmHWM"].split()[0]),
        "threads": int(status["Threads"]),
        "descriptors": descriptors,
        "sent": sent,
        "answered": sum(line["answered"] for line in summaries),
    }))


def used(process):
    """Returns the user and the system time of a process, in seconds, and the time."""
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick, time.monotonic()


if __name__ == "__main__":
    main(*sys.argv[1:])
