"""Changes addresses, the MTU, the MAC address and the state of an interface in whose driver a server answers.

Usage: driver_changes.py SERVER. Prints where requests were answered, or whether they were, after each change.
"""
import json
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR, NEAR4, NEAR6, Lab, ip, request, until

_, SERVER = sys.argv
MORE4, MORE6, TENTATIVE, LAST4 = "10.9.0.2", "2001:db8::2", "2001:db8::3", "10.9.0.4"
MAC = b"\2\0\0\0\0\x99"


def change_addresses(lab):
    """Adds addresses and removes them. Returns whether a tentative one was answered."""
    own, mac = ("dev", FAR), ("lladdr", "02:00:00:00:00:01", "dev", NEAR)
    for address in (MORE4, MORE6, TENTATIVE):
        # Requests are sent even if nobody has the address.
        ip("neigh", "replace", address, *mac, "nud", "permanent")
    lab.machine.ip("address", "add", f"{MORE4}/24", *own)
    lab.machine.ip("address", "add", f"{MORE6}/64", "nodad", *own)
    for address in (MORE4, MORE6):
        lab.until_in_driver(address)
    # It is tentative for minutes.
    lab.machine.sysctl(f"net/ipv6/conf/{FAR}/dad_transmits", 200)
    lab.machine.ip("address", "add", f"{TENTATIVE}/64", *own)
    lab.machine.ip("address", "add", f"{LAST4}/24", *own)
    # The server has seen the earlier change, too.
    lab.until_in_driver(LAST4)
    tentative = len(lab.replies_to(request(NEAR6, 40001, TENTATIVE, b"Tracy")))
    lab.machine.ip("address", "change", f"{TENTATIVE}/64", "nodad", *own)
    lab.machine.ip("address", "del", f"{TENTATIVE}/64", *own)
    lab.machine.ip("address", "add", f"{TENTATIVE}/64", "nodad", *own)
    lab.until_in_driver(TENTATIVE)
    for source, address, length in ((NEAR4, MORE4, 24), (NEAR6, MORE6, 64)):
        assert lab.replies_to(request(source, 40001, address, b"Tracy")), address
        lab.machine.ip("address", "del", f"{address}/{length}", *own)
        packet = request(source, 40001, address, b"Tracy")
        until(lambda: not lab.replies_to(packet), f"{address} is still answered")
    return tentative


def change_mtu(lab):
    """Narrows the wire and widens it again. Returns where the longest name before was answered."""
    name, places = b"m" * (1500 - 28 - 8), []
    # Ends with a reply that fits, after some that do not.
    for mtu in (1492, 1500):
        for run, device in ((ip, NEAR), (lab.machine.ip, FAR)):
            run("link", "set", "dev", device, "mtu", str(mtu))
        lab.until_in_driver(FAR4, name, "driver" if mtu == 1500 else "socket")
        places.append(lab.greet(FAR4, name[: mtu - 28 - 8]))
    return places


def change_mac(lab):
    """Gives the interface another MAC address. Returns the numbers of replies by the old one and the new one."""
    lab.machine.ip("link", "set", "dev", FAR, "address", MAC.hex(":"))
    for address in (FAR4, FAR6):
        ip("neigh", "replace", address, "lladdr", MAC.hex(":"), "dev", NEAR, "nud", "permanent")
        lab.until_in_driver(address)
    old, lab.mac = lab.mac, MAC
    packet = request(NEAR4, 40001, FAR4, b"Tracy")
    return [len(lab.replies_to(packet, to=mac)) for mac in (old, MAC)]


def go_down_and_up(lab):
    for state in ("down", "up"):
        lab.machine.ip("link", "set", "dev", FAR, state)
    lab.until_in_driver(FAR4)
    # The system forgets IPv6 addresses.
    lab.machine.ip("address", "replace", f"{FAR6}/64", "nodad", "dev", FAR)
    lab.until_in_driver(FAR6)


def main():
    with Lab() as lab, lab.serve(SERVER, "--max-name", "2000"):
        results = {"tentative": change_addresses(lab), "mtu": change_mtu(lab), "macs": change_mac(lab)}
        go_down_and_up(lab)
    print(json.dumps(results))


main()
