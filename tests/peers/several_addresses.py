"""Runs a tool against a host name with an IPv6 and an IPv4 address, of which only the latter has a server."""
import json
import os
import subprocess
import sys

from namespace import ip

server, tool, *arguments = sys.argv[1:]
ip("link", "set", "lo", "up")
hosts = f"/tmp/hello-hosts-{os.getpid()}"
with open(hosts, "w") as file:
    file.write("::1 both.test\n127.0.0.1 both.test\n")
subprocess.run(("mount", "--bind", hosts, "/etc/hosts"), check=True)
os.unlink(hosts)
with subprocess.Popen([server, "--json"], stdout=subprocess.PIPE) as greeter:
    greeter.stdout.readline()
    ends = []
    for options in [], ["--json"]:
        end = subprocess.run([tool, *arguments, *options, "both.test"], capture_output=True, timeout=60, text=True)
        ends.append({"out": end.stdout, "err": end.stderr, "status": end.returncode})
    greeter.terminate()
print(json.dumps(ends))
