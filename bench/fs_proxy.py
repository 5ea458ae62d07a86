# SPDX-License-Identifier: BSD-2-Clause
"""Gives a vhost-user daemon for virtio-fs a configuration space.

The daemon in C has none, as QEMU makes up the tag itself; user-mode Linux asks the daemon. So
this stands between the two on the socket, answers GET_CONFIG, and passes on everything else with
its descriptors. Rings and notifications do not come by here: nothing gets slower.
"""

import array
import os
import select
import socket
import struct
import sys

GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_CONFIG, SET_CONFIG = 15, 16, 24, 25
CONFIG_BIT = 1 << 9
HEADER = struct.Struct("=III")
VERSION, REPLY = 1, 4


def receive(sock):
    """One message: header, payload, descriptors. None at the end."""
    data, fds = b"", array.array("i")
    while len(data) < HEADER.size or len(data) < HEADER.size + HEADER.unpack_from(data)[2]:
        want = HEADER.size - len(data)
        if want <= 0:
            want += HEADER.unpack_from(data)[2]
        part, control, _, _ = sock.recvmsg(want, socket.CMSG_SPACE(32 * fds.itemsize))
        if not part:
            return None
        for level, kind, bytes_ in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(bytes_[:len(bytes_) - len(bytes_) % fds.itemsize])
        data += part
    return list(HEADER.unpack_from(data)), data[HEADER.size:], fds


def send(sock, header, payload, fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if len(fds) else []
    sock.sendmsg([HEADER.pack(*header), payload], rights)
    for fd in fds:
        os.close(fd)


def config_answer(header, payload, config):
    offset, size, flags = struct.unpack_from("=III", payload)
    part = config[offset:offset + size].ljust(size, b"\0")
    return ([header[0], VERSION | REPLY, 12 + size], struct.pack("=III", offset, size, flags) + part)


def serve(front, back, config):
    while True:
        ready, _, _ = select.select([front, back], [], [])
        for side in ready:
            message = receive(side)
            if message is None:
                return
            header, payload, fds = message
            if side is front and header[0] == GET_CONFIG:
                send(front, *config_answer(header, payload, config))
                continue
            if header[0] == GET_PROTOCOL_FEATURES and side is back:
                payload = struct.pack("=Q", struct.unpack("=Q", payload)[0] | CONFIG_BIT)
            if header[0] == SET_PROTOCOL_FEATURES and side is front:
                payload = struct.pack("=Q", struct.unpack("=Q", payload)[0] & ~CONFIG_BIT)
            send(back if side is front else front, header, payload, fds)


def main():
    listen, daemon, tag = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX)
    server.bind(listen)
    server.listen(1)
    front, _ = server.accept()
    back = socket.socket(socket.AF_UNIX)
    back.connect(daemon)
    serve(front, back, tag.encode().ljust(36, b"\0") + struct.pack("<I", 1))


if __name__ == "__main__":
    main()
