"""Sends requests with VLAN tags (802.1Q) to a server that answers in the driver.

Usage: driver_vlan.py SERVER. Prints the tags of replies to raw frames and, if the kernel has VLAN interfaces, where
the addresses of one were answered.
"""
import json
import struct
import subprocess
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR, NEAR4, Lab, ip, leave_tags_in_frames, request

_, SERVER = sys.argv
VLAN = 7
VLAN4, VLAN6, NEAR_VLAN4 = "10.9.7.1", "2001:db8:7::1", "10.9.7.100"
PRIORITY = 5 << 13


def tag(data):
    """Returns the tag of a frame, or None without one."""
    kind, number = struct.unpack("!HH", data[12:16])
    return number if kind == 0x8100 else None


def tags(lab, name, source, to, vlan):
    """Sends a request with a tag. Returns the tags of the replies to it."""
    packet = request(source, 40001, to, name.encode())
    return [tag(reply) for reply in lab.replies_to(packet, vlan=vlan) if name.encode() in reply]


def use_vlans(lab, server):
    """Returns where the addresses of a VLAN interface were answered, and the tags of replies to raw frames."""
    places = [lab.greet(address) for address in (VLAN4, VLAN6, FAR4, FAR6)]
    # The socket would answer some of them.
    server.stop()
    replies = {
        "its own": tags(lab, "its own", NEAR_VLAN4, VLAN4, VLAN),
        "its own with a priority": tags(lab, "with a priority", NEAR_VLAN4, VLAN4, VLAN | PRIORITY),
        "another": tags(lab, "another", NEAR_VLAN4, VLAN4, VLAN + 1),
        "none": tags(lab, "none", NEAR_VLAN4, VLAN4, None),
        "to the untagged": tags(lab, "to the untagged", NEAR4, FAR4, VLAN),
    }
    server.resume()
    # Its addresses are not in use while it is down.
    lab.machine.ip("link", "set", "dev", f"{FAR}.{VLAN}", "down")
    lab.machine.ip("address", "add", "10.9.0.2/24", "dev", FAR)
    lab.until_in_driver("10.9.0.2")
    replies["down"] = tags(lab, "down", NEAR_VLAN4, VLAN4, VLAN)
    return {"places": places, "replies": replies}


def have_vlans():
    """Returns whether the kernel has VLAN interfaces."""
    command = ("ip", "link", "add", "link", NEAR, "name", "probe", "type", "vlan", "id", "1")
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        return False
    ip("link", "del", "dev", "probe")
    return True


def create_vlans(lab):
    """Creates a VLAN interface at both ends."""
    for run, device, four, six in (
        (ip, NEAR, f"{NEAR_VLAN4}/24", "2001:db8:7::100/64"),
        (lab.machine.ip, FAR, f"{VLAN4}/24", f"{VLAN6}/64"),
    ):
        name = f"{device}.{VLAN}"
        run("link", "add", "link", device, "name", name, "type", "vlan", "id", str(VLAN))
        run("link", "set", "dev", name, "up")
        run("address", "add", four, "dev", name)
        run("address", "add", six, "nodad", "dev", name)
    leave_tags_in_frames(NEAR)


def main():
    with Lab() as lab:
        vlans = have_vlans()
        if vlans:
            create_vlans(lab)
        with lab.serve(SERVER) as server:
            # VLAN 0 is none, with a priority.
            numbers = {"priority": PRIORITY, "other": VLAN + 1}
            results = {name: tags(lab, name, NEAR4, FAR4, number) for name, number in numbers.items()}
            if vlans:
                results["vlans"] = use_vlans(lab, server)
    print(json.dumps(results))


main()
