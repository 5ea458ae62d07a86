# SPDX-License-Identifier: BSD-2-Clause
"""For tests that run `vdax pmem` as a user would, with a guest from front/ at the other end.

A test program defines functions test_*(t) and ends with run(globals()). Each function gets a
folder of its own and fails by an assertion; Skip says why it cannot run here. Whatever was
started ends with the function.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

VDAX = os.environ['VDAX']
TESTD = os.environ['VDAX_TESTD_PROGRAM']
GUEST = os.environ['VDAX_GUEST_SHELL']
SANDBOX = os.environ['VDAX_SANDBOX']
SANITIZED = SANDBOX == 'none'
MIB = 1 << 20
EIO = -5

CLONE_NEWNS = 0x20000


class Skip(Exception):
    pass


def wait_for(what, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f'waited for {what}'
        time.sleep(0.002)


def need_root():
    if os.geteuid():
        raise Skip('needs root')


def private_mounts():
    """What this process mounts from now on, nobody else sees."""
    need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise Skip(f'no mount namespace: {os.strerror(ctypes.get_errno())}')
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)


mounted = []


def mount(*args):
    """After private_mounts(). It is unmounted when the test function ends."""
    p = subprocess.run(['mount', *args], capture_output=True, text=True)
    if p.returncode:
        raise Skip(f'cannot mount: {p.stderr.strip()}')
    if args[-1] not in mounted:
        mounted.append(args[-1])


class Daemon:
    """A daemon that serves image. testd: see tests/lib/testd.c; user: run as this user."""

    def __init__(self, t, image, *args, testd=None, user=None, program=None, ready=True):
        self.t = t
        self.dir = tempfile.mkdtemp(dir=t.dir)
        os.chmod(self.dir, 0o777)
        self.socket = os.path.join(self.dir, 's')
        self.log_path = os.path.join(self.dir, 'log')
        env = dict(os.environ)
        command = list(t.as_user) if user else []
        if testd:
            env['VDAX_TESTD'] = testd
            command += [t.copy_of(TESTD) if user else TESTD]
        else:
            command += [t.copy_of(VDAX) if user else VDAX, 'pmem']
        command += ['--sandbox', SANDBOX, '--socket-path', self.socket, *args, image]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        self.pid = self.process.pid
        t.started.append(self)
        if ready:
            wait_for('the daemon', lambda: self.answers() or self.ended())
            assert self.process.poll() is None, f'it ended: {self.log()}'

    def ended(self):
        return self.process.poll() is not None

    def answers(self):
        try:
            return self.stat()
        except OSError:
            return None

    def stat(self, key=None):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.socket + '.ctl')
        with s, s.makefile() as f:
            found = dict(line.rstrip('\n').split(' ', 1) for line in f)
        return int(found[key]) if key else found

    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as f:
            return f.read()

    def wait(self):
        return self.process.wait(20)

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Guest:
    """The guest of tests/lib/guest_shell.c; start=False leaves the device stopped."""

    def __init__(self, t, daemon, start=True):
        self.process = subprocess.Popen([GUEST, daemon.socket], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        t.started.append(self)
        assert self.answer() == '0', 'cannot connect'
        if start:
            assert self('start') == 0

    def answer(self):
        return self.process.stdout.readline().rstrip('\n')

    def __call__(self, *words):
        """Gives a command; returns the number it answers, or the text."""
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        text = self.answer()
        assert text or words[0] == 'load', f'no answer to {words}'
        return int(text) if text.lstrip('-').isdigit() else text

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Test:
    as_user = ('setpriv', '--reuid', 'nobody', '--regid', 'nogroup', '--clear-groups')

    def __init__(self):
        self.started = []
        self.dir = tempfile.mkdtemp(prefix='vdax-test-')
        os.chmod(self.dir, 0o777)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def image(self, name='image', size=4 * MIB, folder=None):
        path = os.path.join(folder or self.dir, name)
        with open(path, 'wb') as f:
            f.truncate(size)
        return path

    def fifo(self):
        path = self.path('fifo')
        os.mkfifo(path)
        return path

    def copy_of(self, program):
        """Where an ordinary user can run it, wherever the build folder is."""
        path = self.path(os.path.basename(program))
        if not os.path.exists(path):
            shutil.copy(program, path)
        return path

    def vdax(self, *args, user=False, **kwargs):
        """Runs vdax to its end. Has returncode and stderr."""
        command = [*self.as_user, self.copy_of(VDAX)] if user else [VDAX]
        return subprocess.run([*command, *args], capture_output=True, text=True, timeout=30,
                              **kwargs)

    def pmem(self, *args, **kwargs):
        return self.vdax('pmem', *args, **kwargs)

    def clean_up(self):
        for what in reversed(self.started):
            what.end()
        while mounted:
            subprocess.run(['umount', '-l', mounted.pop()], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def release(fifo, n=1):
    fd = os.open(fifo, os.O_RDWR)
    os.write(fd, b'1' * n)
    os.close(fd)


def run_one(name, function):
    t = Test()
    begin = time.monotonic()
    try:
        function(t)
        print(f'{name}: ok, {time.monotonic() - begin:.2f} s', flush=True)
        return True
    except Skip as why:
        print(f'{name}: skipped: {why}', flush=True)
        return None
    except Exception:
        print(f'{name}: FAILED')
        traceback.print_exc(file=sys.stdout)
        for d in t.started:
            if isinstance(d, Daemon):
                print(f'--- log of the daemon:\n{d.log()[-3000:]}---', flush=True)
        return False
    finally:
        t.clean_up()


def run(names):
    """Runs all test_* functions, or those named on the command line."""
    wanted = sys.argv[1:]
    results = [run_one(name, f) for name, f in list(names.items())
               if name.startswith('test_') and (not wanted or name in wanted)]
    if False in results:
        sys.exit(1)
    sys.exit(0 if True in results else 77)


def stat_json(t, daemon):
    p = t.vdax('stat', '--json', daemon.socket + '.ctl')
    assert p.returncode == 0, p.stderr
    return json.loads(p.stdout)
