"""Starts a server with --xdp where it cannot work.

Usage: xdp_errors.py SERVER. Prints, for each case, what the server prints on standard output and standard error,
and its status.
"""
import ctypes
import json
import os
import struct
import subprocess
import sys

from namespace import ip

SERVER = sys.argv[1]
DROPPED = {
    "no capability": "-all",
    "no CAP_BPF": "-bpf,-sys_admin",
    "no CAP_NET_ADMIN": "-net_admin",
}


def refuse_bpf(error):
    """Lets bpf(2) fail with an error in this process, as containers do (seccomp(2))."""
    # The number of the call is at the start of the data; SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW.
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50000 | error), (6, 0, 0, 0x7FFF0000)]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None)
    # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0


def run(*options, front=(), before=None):
    # Port 0, so that no server is in the way of another's socket. A server that starts is an error.
    command = (*front, SERVER, "--bind", "127.0.0.1:0", "--quiet")
    for name in options:
        command += ("--xdp", name)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, preexec_fn=before)
    return {"out": ended.stdout, "err": ended.stderr, "status": ended.returncode}


ip("link", "set", "dev", "lo", "up")
ip("link", "add", "near", "type", "veth", "peer", "name", "far")
ip("link", "add", "slow", "type", "bridge")
has_tun = subprocess.run(("ip", "tuntap", "add", "tunnel", "mode", "tun"), capture_output=True).returncode == 0

command = (SERVER, "--bind", "127.0.0.1:0", "--xdp", "near", "--xdp", "slow")
first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
try:
    assert first.stdout.readline()
    cases = {
        "absent": run("nowhere"),
        "loopback": run("lo"),
        "not Ethernet": run("tunnel") if has_tun else None,
        "twice": run("far", "near", "far"),
        "busy, native": run("near"),
        "busy, generic": run("slow"),
        "bpf(2) not permitted": run("far", before=lambda: refuse_bpf(1)),
        "no bpf(2)": run("far", before=lambda: refuse_bpf(38)),
    }
    for case, capabilities in DROPPED.items():
        front = ("setpriv", "--bounding-set", capabilities, "--inh-caps", "-all")
        cases[case] = run("far", front=front)
    print(json.dumps(cases))
finally:
    first.kill()
    first.wait()
