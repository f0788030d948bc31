"""Sends requests to each address and port of a server that answers in the drivers of two interfaces, and to one
that is bound to some addresses only.

Usage: driver_addresses.py SERVER. Prints where they were answered.
"""
import json
import socket
import subprocess
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR, PORT, Lab, ip, udp

_, SERVER = sys.argv
SECOND4, OTHER4, OTHER6 = "10.9.0.2", "10.9.1.1", "2001:db8:1::1"
LOCAL = f"fe80::1%{NEAR}"
PORTS = (PORT, PORT - 1)


def is_refused(address):
    """Returns whether nothing has an address and port."""
    asking, target = udp(address)
    asking.connect(target)
    asking.send(b"Tracy")
    try:
        return asking.recv(64).decode()
    except ConnectionRefusedError:
        return True


def services_of_a_socket_from_here(lab):
    """Returns the number of addresses that a server answers for in the driver of the machine's interface, if its only
    socket receives what is sent to this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        kept.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        kept.bind(("0.0.0.0", PORT))
        script = f'exec 3<&{kept.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        command = (*lab.machine.inside, "sh", "-c", script, "sh", SERVER, "--json", "--xdp", FAR)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(kept.fileno(),))
    try:
        server.stdout.readline()
        return json.loads(server.stdout.readline())["services"]
    finally:
        server.terminate()
        server.communicate()


def main():
    with Lab() as lab:
        lab.machine.ip("address", "add", f"{SECOND4}/24", "dev", FAR)
        lab.wire(["10.9.1.100/24", "2001:db8:1::100/64"], [f"{OTHER4}/24", f"{OTHER6}/64"], ("there1", "here1"))
        wildcards = [f"{host}:{port}" for port in PORTS for host in ("0.0.0.0", "[::]")]
        addresses = (FAR4, SECOND4, FAR6, LOCAL, OTHER4, OTHER6, "fe80::1%there1")
        with lab.serve(SERVER, bind=wildcards, xdp=(FAR, "here1")):
            places = [lab.greet(address, port=port) for address in addresses for port in PORTS]
            # An address of the other interface.
            ip("route", "add", f"{OTHER4}/32", "via", FAR4)
            elsewhere = lab.greet(OTHER4)
            ip("route", "del", f"{OTHER4}/32")
        with lab.serve(SERVER, bind=[f"{SECOND4}:{PORT}", f"[fe80::1%{FAR}]:{PORT}"], xdp=(FAR, "here1")):
            specific = [lab.greet(SECOND4), lab.greet(LOCAL)]
            refused = [is_refused(address) for address in (FAR4, FAR6, OTHER4, "fe80::1%there1")]
        # Only one of the two interfaces.
        with lab.serve(SERVER, xdp=("here1",)):
            one = [lab.greet(OTHER4), lab.greet(FAR4)]
        inherited = services_of_a_socket_from_here(lab)
    print(json.dumps({
        "places": places, "elsewhere": elsewhere, "specific": specific, "refused": refused, "one": one,
        "inherited": inherited,
    }))


main()
