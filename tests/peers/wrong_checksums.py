"""Sends datagrams with wrong checksums to each tool, without a pause, in a network namespace.

The kernel may verify them only inside the receive call, which then does not return. Each tool has to end while
the attack continues, and the server has to answer others without delay.

Usage: wrong_checksums.py SERVER BACK_END ADDRESS. Prints how many of 20 requests of others were answered within
a second each, the server's counters, and for each tool whether it ended during the attack.
"""
import json
import os
import socket
import subprocess
import sys

from namespace import PORT, Attack, Server, ip, packet, spoofer

HERE = sys.argv[3]
# The kernel verifies short ones at once.
NAME = b"x" * 200
INTERVAL = 0.01

TOOLS = {
    "hello-client": ("--attempts", "1", "--timeout", "300ms", "--server", HERE, "Tracy"),
    "hello-ping": ("-c", "3", "-i", "50ms", "-W", "300ms", HERE),
    "hello-load": ("--duration", "300ms", "--warm-up", "0", "-W", "300ms", HERE),
}

ip("link", "set", "dev", "lo", "up")
wire = spoofer(HERE)


def attack(source_port, to_port):
    damaged = packet(HERE, source_port, HERE, NAME, to_port, damage=0x5555)
    return Attack(lambda: wire.sendto(damaged, (HERE, 0)), INTERVAL)


def opened():
    family = socket.AF_INET6 if ":" in HERE else socket.AF_INET
    return socket.socket(family, socket.SOCK_DGRAM)


def dropped(port):
    """Returns the number of datagrams that the kernel dropped at a port (proc_net_udp)."""
    with open("/proc/net/udp6" if ":" in HERE else "/proc/net/udp") as sockets:
        rows = [row.split() for row in sockets][1:]
    return sum(int(row[-1]) for row in rows if row[1].endswith(f":{port:04X}"))


ended, answered = {}, 0
bind = f"[{HERE}]:{PORT}" if ":" in HERE else f"{HERE}:{PORT}"
with Server(sys.argv[1], "--json", "--backend", sys.argv[2], "--bind", bind) as server:
    storm = attack(40001, PORT)
    while dropped(PORT) < 10:
        pass
    with opened() as bystander:
        bystander.settimeout(1)
        for _ in range(20):
            bystander.sendto(NAME, (HERE, PORT))
            try:
                answered += bystander.recv(512) == b"Hello, " + NAME + b"!"
            except TimeoutError:
                pass
    summary = server.summary()
    ended["hello-server"] = storm.stop()

# A server that answers nothing, and whose address the attacker uses.
silent = opened()
silent.bind((HERE, PORT))
for tool, arguments in TOOLS.items():
    command = (os.path.join(os.path.dirname(sys.argv[1]), tool), *arguments)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = silent.recvfrom(2048)[1][1]
    storm = attack(PORT, port)
    process.wait(timeout=Attack.LONGEST + 10)
    ended[tool] = storm.stop()
    silent.setblocking(False)
    try:
        while True:
            silent.recvfrom(2048)
    except BlockingIOError:
        silent.setblocking(True)
print(json.dumps({"ended": ended, "answered": answered, "summary": summary}))
