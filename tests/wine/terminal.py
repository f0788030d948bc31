"""Runs a program in a terminal of its own, copies what it prints, presses Ctrl-C there at each SIGINT,
and exits with the program's status. A program without a terminal has no Ctrl-C under Wine."""

import os
import pty
import signal
import sys

child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGINT, lambda *_: os.write(terminal, b"\x03"))
while True:
    try:
        chunk = os.read(terminal, 65536)
    except OSError:
        # The program closed its side.
        break
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
