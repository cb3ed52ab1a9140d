"""Who answers on a server: runs on another one. argv: address, then `tcp` for all ports, or `udp` and ports.

stdout: a JSON list. TCP: ports that take a connection. UDP: ports that send back what they got.
"""

import errno
import json
import resource
import select
import socket
import sys

BATCH, WAIT = 6000, 1.0


def tcp(family, address, ports):
    poll, waiting, found = select.epoll(), {}, []
    for port in ports:
        link = socket.socket(family, socket.SOCK_STREAM)
        link.setblocking(False)
        code = link.connect_ex((address, port))
        if code == 0:
            found.append(port)
        if code != errno.EINPROGRESS:
            link.close()
            continue
        waiting[link.fileno()] = (link, port)
        poll.register(link, select.EPOLLOUT)
    while waiting:
        events = poll.poll(WAIT)
        if not events:
            break
        for number, _ in events:
            link, port = waiting.pop(number)
            poll.unregister(number)
            if link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            link.close()
    for link, _ in waiting.values():
        link.close()
    return found


def udp(family, address, ports):
    found = []
    for port in ports:
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.settimeout(WAIT)
            try:
                link.sendto(b"anybody?", (address, port))
                link.recv(100)
                found.append(port)
            except OSError:
                pass
    return found


def main(address, kind, *ports):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if kind == "udp":
        return udp(family, address, map(int, ports))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    wanted = [int(port) for port in ports] or range(1, 65536)
    return sorted(
        port for at in range(0, len(wanted), BATCH) for port in tcp(family, address, wanted[at : at + BATCH])
    )


print(json.dumps(main(*sys.argv[1:])))
