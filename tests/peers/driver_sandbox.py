"""Starts a server with a socket from outside and the capabilities of a unit, to answer in the driver of an
interface: driver_sandbox.py SERVER LOG CAPABILITY...

strace writes the system calls of the server to LOG. Prints which capabilities the server has left once it
listens, and whether the interface has its program then and after it was killed; or why it did not start.
"""
import json
import os
import shutil
import socket
import subprocess
import sys

from namespace import PORT, ip, open_to_all

UID = 65532

server, log, *capabilities = sys.argv[1:]
ip("link", "add", "hello0", "type", "veth", "peer", "name", "hello1")
ip("address", "add", "192.0.2.1/24", "dev", "hello0")
for name in ("hello0", "hello1"):
    ip("link", "set", name, "up")


def has_program():
    shown = subprocess.check_output(("ip", "-json", "link", "show", "dev", "hello0"))
    return "xdp" in json.loads(shown)[0]


(server,) = open_to_all(server)
calls = "/mnt/calls"
open(calls, "w").close()
os.chown(calls, UID, UID)
inherited = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inherited.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
inherited.bind(("0.0.0.0", PORT))
os.dup2(inherited.fileno(), 3)
only = "-all," + ",".join("+" + capability.lower().removeprefix("cap_") for capability in capabilities)
process = subprocess.Popen(
    ("setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--no-new-privs",
     "--bounding-set", only, "--inh-caps", only, "--ambient-caps", only,
     "strace", "--quiet=all", "-D", "-f", "-o", calls,
     "sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh",
     server, "--json", "--quiet", "--xdp", "hello0"),
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=(3,),
)
if not process.stdout.readline():
    print(json.dumps({"refused": process.stderr.read().splitlines()[0]}))
    sys.exit()
with open(f"/proc/{process.pid}/status") as status:
    left = {line.split(":")[0]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
attached = has_program()
process.kill()
process.wait()
shutil.copy(calls, log)
print(json.dumps({
    "left": {name: left[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")},
    "attached": attached,
    "attached_after_a_kill": has_program(),
}))
