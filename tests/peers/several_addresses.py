"""Runs tools against a host name with an IPv6 and an IPv4 address. First, only the latter has a server. Then a
silent socket has the former, and each tool is interrupted while it waits there."""
import json
import os
import signal
import socket
import subprocess
import sys

from namespace import PORT, ip, late, replace_file  # noqa: F401, which sets the alarm's handler

server, *tools = sys.argv[1:]
ip("link", "set", "lo", "up")
replace_file("/etc/hosts", "::1 both.test\n127.0.0.1 both.test\n")
ends = {os.path.basename(tool): [] for tool in tools}
command = ("-c", "1", "-W", "20s", "both.test")
with subprocess.Popen([server, "--json"], stdout=subprocess.PIPE) as greeter:
    greeter.stdout.readline()
    for tool in tools:
        for options in [], ["--json"]:
            end = subprocess.run([tool, *command, *options], capture_output=True, timeout=60, text=True)
            ends[os.path.basename(tool)].append({"out": end.stdout, "err": end.stderr, "status": end.returncode})
    greeter.terminate()

silent = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
silent.bind(("::1", PORT))
for tool in tools:
    with subprocess.Popen([tool, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        signal.alarm(20)
        silent.recv(100)
        process.send_signal(signal.SIGINT)
        ends[os.path.basename(tool)].append(process.wait())
        signal.alarm(0)
print(json.dumps(ends))
