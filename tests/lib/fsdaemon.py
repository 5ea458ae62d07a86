# SPDX-License-Identifier: BSD-2-Clause
"""`vdax fs` as a process, started as launchers of virtiofsd do, and a front end that says hello."""
import os
import socket
import struct
import subprocess

from vdaxtest import SANITIZED, VDAX, wait_for

WAITING = 'Waiting for vhost-user socket connection'
GET_FEATURES, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 1, 15, 16, 17
MQ, CONFIG = 1 << 0, 1 << 9


def say(s, request):
    """A vhost-user message without a body; returns the answer's u64."""
    s.sendall(struct.pack('<III', request, 1, 0))
    data = s.recv(20, socket.MSG_WAITALL)
    assert len(data) == 20, f'the connection ended: {data}'
    number, flags, size, value = struct.unpack('<IIIQ', data)
    assert number == request and flags & 7 == 5 and size == 8, data
    return value


def hello(s):
    s.settimeout(10)
    assert say(s, GET_FEATURES) & 1 << 30, 'no protocol features'
    return say(s, GET_PROTOCOL_FEATURES)


class Fs:
    """The daemon, under the name that launchers know or as ours."""

    def __init__(self, t, *args, fds=(), user=None, before=(), name='virtiofsd', **kwargs):
        self.t = t
        self.log_path = t.path(f'log{len(t.started)}')
        program = [link(t, user)] if name == 'virtiofsd' else [VDAX, 'fs']
        extra = ['--sandbox', 'none', '--seccomp', 'none'] if SANITIZED else []
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [*before, *(t.as_user if user else ()), *program, *map(str, args), *extra],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=fds, **kwargs)
        self.pid = self.process.pid
        t.started.append(self)

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def ended(self):
        return self.process.poll() is not None

    def wait_ready(self):
        """As Kata does: until the line is there."""
        wait_for('the line', lambda: WAITING in self.log() or self.ended())
        assert not self.ended(), self.log()

    def wait(self):
        return self.process.wait(20)

    def server(self):
        """The process that serves: the first one, or the only child that it has."""
        with open(f'/proc/{self.pid}/task/{self.pid}/children', encoding='ascii') as f:
            children = f.read().split()
        return int(children[0]) if children else self.pid

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def link(t, user=None):
    path = t.path('virtiofsd')
    if not os.path.exists(path):
        os.symlink(t.copy_of(VDAX) if user else VDAX, path)
    return path


def share(t):
    path = t.path('share')
    if not os.path.isdir(path):
        os.mkdir(path)
        os.chmod(path, 0o755)
    return path


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s


def listener(t, name='sock'):
    s = socket.socket(socket.AF_UNIX)
    s.bind(t.path(name))
    s.listen(1)
    return s


def serves_until_the_end(fs, s):
    """The front end says hello and goes; so does the daemon, with status 0."""
    hello(s)
    assert not fs.ended()
    s.close()
    assert fs.wait() == 0, fs.log()
