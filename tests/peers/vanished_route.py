"""Sends requests to a server whose address is removed after its first reply."""
import json
import socket
import subprocess
import sys

from namespace import ip

_, LOAD, *OPTIONS = sys.argv[1:]

ip("link", "set", "lo", "up")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
server.settimeout(20)
target = "127.0.0.1:%d" % server.getsockname()[1]
command = [LOAD, "--rate", "200", "--count", "40", "-W", "1s", "--json", *OPTIONS, target]
load = subprocess.Popen(command, stdout=subprocess.PIPE)
for _ in range(5):
    name, source = server.recvfrom(64)
    server.sendto(b"Hello, " + name + b"!", source)
ip("address", "flush", "dev", "lo")
out, _ = load.communicate(timeout=60)
print(json.dumps(json.loads(out.splitlines()[-1])))
