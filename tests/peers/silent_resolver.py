"""Interrupts each tool while it waits for a resolver that never answers."""
import json
import os
import signal
import socket
import subprocess
import sys

from namespace import ip, late, replace_file  # noqa: F401, which sets the alarm's handler

tools = sys.argv[2:]
ip("link", "set", "lo", "up")
replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))
ends = {}
for tool in tools:
    option = ["--server"] if tool.endswith("hello-client") else []
    name = os.path.basename(tool).replace("-", "") + ".example.org"
    process = subprocess.Popen([tool, *option, name], stdout=subprocess.DEVNULL)
    signal.alarm(20)
    try:
        # Queries of the previous tool may still be queued.
        while name.split(".")[0].encode() not in resolver.recv(512):
            pass
        process.send_signal(signal.SIGINT)
        ends[os.path.basename(tool)] = process.wait()
    finally:
        signal.alarm(0)
        process.kill()
        process.wait()
print(json.dumps(ends))
