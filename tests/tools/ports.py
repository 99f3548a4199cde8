"""Ports on loopback that no two tests or demos on this machine share.

"Free a moment ago" is not enough: two tests that look at the same moment get the same ports, and then each sees (and
ends) the other's engines. So a block of ports is claimed before it is used, by binding an abstract Unix socket that is
named after it: the kernel keeps it in the same network namespace as the ports, and lets go of it with the process.
tests/support/ports.hpp makes the same claims for C++.
"""
import socket

BLOCK = 100
FIRST, LAST = 20000, 32700  # below the range from which Linux takes the ports of outgoing connections


class Ports:
    """A block of ports that is this object's until `close()` or the end of the process: `first` .. `first + BLOCK - 1`."""

    def __init__(self):
        for first in range(FIRST, LAST - BLOCK + 1, BLOCK):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                claim.bind(f"\0ebb-test-ports-{first}")
                if all(unused(port) for port in range(first, first + BLOCK)):
                    self.first, self._next, self._claim = first, first + BLOCK, claim
                    return
            except OSError:
                pass
            claim.close()
        raise AssertionError(f"no {BLOCK} neighbouring ports are free in {FIRST}..{LAST}")

    def one(self):
        """Another single port, from the end of the block downwards."""
        self._next -= 1
        return self._next

    def close(self):
        self._claim.close()


def unused(port):
    with socket.socket() as probe:
        # As a server would bind it: a connection in TIME_WAIT is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
