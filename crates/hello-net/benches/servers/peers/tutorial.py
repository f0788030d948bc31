"""The tutorial's server. The first argument is the size of the receive buffer."""
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    server.setsockopt(socket.SOL_SOCKET, 33, int(sys.argv[1]))  # SO_RCVBUFFORCE
except PermissionError:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(sys.argv[1]))
server.bind(("127.0.0.1", 0))
print("127.0.0.1:%d" % server.getsockname()[1], flush=True)
while True:
    data, source = server.recvfrom(2048)
    server.sendto(b"Hello, %s!" % data, source)
