"""Passes a socket with unusual options to a server, as systemd does (sd_listen_fds(3)).

Usage: adopted_options.py SERVER BACK_END. Prints the options of the socket before, while and after the
server uses it, and the server's summary.
"""
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys

from namespace import ip, without_zeros

SOL_UDP, UDP_GRO = 17, 104
# By level and name. The last two are IP_RECVTTL and IP_RECVERR; Python names the others.
OPTIONS = {
    "IP_MTU_DISCOVER": (socket.IPPROTO_IP, 10),
    "UDP_GRO": (SOL_UDP, UDP_GRO),
    "IP_PKTINFO": (socket.IPPROTO_IP, 8),
    "IP_RECVTOS": (socket.IPPROTO_IP, socket.IP_RECVTOS),
    "IP_RECVTTL": (socket.IPPROTO_IP, 12),
    "IP_RECVERR": (socket.IPPROTO_IP, 11),
    "SO_RXQ_OVFL": (socket.SOL_SOCKET, 40),
    "SO_TIMESTAMPNS": (socket.SOL_SOCKET, 35),
}

ip("link", "set", "dev", "lo", "up")
kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
kept.bind(("0.0.0.0", 0))
# Options that a back end changes, and options that add more to each datagram than fits.
for name, (level, option) in OPTIONS.items():
    kept.setsockopt(level, option, 3 if name == "IP_MTU_DISCOVER" else name != "UDP_GRO")
kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (7).to_bytes(8, "little") + bytes(8))


def options():
    options = {name: kept.getsockopt(*option) for name, option in OPTIONS.items()}
    options["SO_RCVTIMEO"] = kept.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16).hex()
    options["O_NONBLOCK"] = fcntl.fcntl(kept, fcntl.F_GETFL) & os.O_NONBLOCK
    # For SO_ATTACH_FILTER: the number of instructions.
    options["filter"] = len(kept.getsockopt(socket.SOL_SOCKET, 26, 8))
    return options


before = options()
address = ("127.0.0.1", kept.getsockname()[1])
os.dup2(kept.fileno(), 3)
os.set_inheritable(3, True)
script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
command = ("sh", "-c", script, "sh", sys.argv[1], "--json", "--quiet", "--backend", sys.argv[2])
server = subprocess.Popen(command, pass_fds=(3,), stdout=subprocess.PIPE, text=True)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(20)
    # Including a train, whose segment size is reported beside each datagram.
    client.setsockopt(SOL_UDP, 103, 5)
    client.sendto(b"TracySarahAl", address)
    replies = sorted(client.recv(64).decode() for _ in range(3))
while_served = options()
server.send_signal(signal.SIGTERM)
summary = json.loads(server.stdout.readlines()[-1])
assert server.wait() == 0
print(
    json.dumps(
        {"before": before, "served": while_served, "after": options(), "replies": replies}
        | {"summary": without_zeros(summary)}
    )
)
