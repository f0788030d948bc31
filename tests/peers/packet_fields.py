"""Reads the TTL and the mark of each request of a tool, and replies with others.

Usage: packet_fields.py ADDRESS REPLIES COMMAND. REPLIES is a list in JSON with the TTL and the mark of each
reply, the last one for all that follow. Prints the TTL and the mark of each request, and the tool's output.
"""
import json
import socket
import struct
import subprocess
import sys
import tempfile

ADDRESS, REPLIES, *COMMAND = sys.argv[1:]
REPLIES = json.loads(REPLIES)
V6 = ":" in ADDRESS
FAMILY = socket.AF_INET6 if V6 else socket.AF_INET
LEVEL = socket.IPPROTO_IPV6 if V6 else socket.IPPROTO_IP
# In the kernel's headers; not every version of Python has all of them.
IP_RECVTTL, IP_RECVTOS = 12, 13
IPV6_UNICAST_HOPS, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT, IPV6_RECVTCLASS, IPV6_TCLASS = 16, 51, 52, 66, 67
TTL, MARK = (IPV6_UNICAST_HOPS, IPV6_TCLASS) if V6 else (socket.IP_TTL, socket.IP_TOS)
TTL_RECEIVED = IPV6_HOPLIMIT if V6 else socket.IP_TTL


def number(data):
    """Returns the number of a control message: a byte, or an integer of the machine."""
    return data[0] if len(data) == 1 else struct.unpack("=i", data[:4])[0]


peer = socket.socket(FAMILY, socket.SOCK_DGRAM)
peer.bind((ADDRESS, 0))
peer.settimeout(0.05)
for option in (IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS) if V6 else (IP_RECVTTL, IP_RECVTOS):
    peer.setsockopt(LEVEL, option, 1)
port = peer.getsockname()[1]
target = f"[{ADDRESS}]:{port}" if V6 else f"{ADDRESS}:{port}"
requests = []
with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
    tool = subprocess.Popen([*COMMAND, target], stdout=out, stderr=err)
    while tool.poll() is None:
        try:
            name, control, _, client = peer.recvmsg(65536, 512)
        except TimeoutError:
            continue
        fields = {(level, kind): number(data) for level, kind, data in control}
        ttl, mark = REPLIES[min(len(requests), len(REPLIES) - 1)]
        requests.append([fields[LEVEL, TTL_RECEIVED], fields[LEVEL, MARK]])
        peer.setsockopt(LEVEL, TTL, ttl)
        peer.setsockopt(LEVEL, MARK, mark)
        peer.sendto(b"Hello, " + name + b"!", client)
    out.seek(0)
    err.seek(0)
    ended = {"out": out.read(), "err": err.read(), "status": tool.returncode}
print(json.dumps({"requests": requests, **ended}))
