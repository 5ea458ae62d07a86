#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax stat` of a `vdax fs` at work: the load is that of `vdax bench fs`."""
import json
import os
import socket
import subprocess
import time

from test_stat import check_with_package, read_exposition
from vdaxtest import SANITIZED, VDAX, run, wait_for


class Load:
    """One queue's worth of a workload against a daemon of its own, for some seconds."""

    def __init__(self, t, workload, seconds):
        self.path = t.path('ctl')
        daemon = [VDAX, 'fs', '--socket-path={socket}', '--shared-dir={dir}', '--control',
                  self.path]
        if SANITIZED:
            daemon += ['--sandbox', 'none', '--seccomp', 'none']
        with open(t.path('log'), 'wb') as log:
            self.process = subprocess.Popen(
                [VDAX, 'bench', 'fs', '--dir', t.dir, '--daemon', ' '.join(daemon), '--workload',
                 workload, '--depths', '4', '--rounds', '1', '--time', str(seconds * 1000)],
                stdout=log, stderr=log)
        t.started.append(self)

        def ready():
            assert self.process.poll() is None, open(t.path('log'), encoding='utf-8').read()
            return os.path.exists(self.path)
        wait_for('the daemon', ready)

    def ask(self):
        """The answer as it is, and so one question."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        with s, s.makefile() as f:
            return dict(line.rstrip('\n').split(' ', 1) for line in f)

    def busy(self, opcode):
        return wait_for(opcode, lambda: int(self.ask().get(f'requests.{opcode}', 0)) > 100)

    def end(self):
        self.process.terminate()
        self.process.wait()


def numbers(answer, key):
    return [int(v) for k, v in answer.items() if k.startswith(key + '.')]


def measured(answer, opcode):
    return sum(map(int, answer.get(f'latency.{opcode}', '').split()))


def test_rates(t):
    load = Load(t, 'getattr', 8)
    load.busy('GETATTR')
    before = load.ask()
    p = t.vdax('stat', '--json', '--interval', '0.5', load.path)
    after = load.ask()
    assert p.returncode == 0, p.stderr
    found = json.loads(p.stdout)
    op = found['opcodes']['GETATTR']
    there = int(after['requests.GETATTR']) - int(before['requests.GETATTR'])
    assert 0 < op['requests_per_s'] * found['interval_s'] <= there
    assert int(before['requests.GETATTR']) < op['requests'] < int(after['requests.GETATTR'])
    # All of the interval were measured, but for those that were under way at its ends.
    missing = op['requests_per_s'] * found['interval_s'] - op['measured']
    assert abs(missing) <= 4 + 16, (missing, op)
    assert 0 < op['p50_us'] <= op['p99_us'] <= op['p999_us'], op
    assert op['errors'] == 0 and found['all']['requests'] > op['requests']
    assert found['device'] == 'fs' and found['session'] == 1 and found['connected'] == 1
    assert found['inodes'] > 1 and found['mounts'] == 1
    assert 0 < found['open_fds'] < found['open_fds_max'] if 'open_fds' in found else True
    assert found['inode_fds_cached'] + found['inode_fds_pinned'] <= found['inode_fds_max']
    assert found['queue_popped']['1'] > 0 and found['queue_popped']['2'] == 0, 'one queue'
    table = t.vdax('stat', '--interval', '0.1', load.path).stdout
    assert [line for line in table.split('\n') if line.startswith('GETATTR ')], table


def test_sums(t):
    """Counts by opcode and by queue are of the same requests."""
    load = Load(t, 'create+close', 8)
    load.busy('CREATE')
    for _ in range(20):
        found = load.ask()
        answered, popped = sum(numbers(found, 'queue_answered')), sum(numbers(found, 'queue_popped'))
        requests = sum(numbers(found, 'requests'))
        # Opcodes are counted after queues, while requests go on.
        assert answered <= requests and answered <= popped
        assert sum(numbers(found, 'queue_depth')) <= 64
        assert sum(numbers(found, 'queue_dropped')) == 0
        time.sleep(0.01)
    p = t.vdax('stat', '--prometheus', load.path)
    families = read_exposition(p.stdout)
    check_with_package(p.stdout)
    name = 'vdax_fs_requests_total'
    assert families[name][1][name, (('opcode', 'CREATE'),)] >= int(found['requests.CREATE'])
    name = 'vdax_fs_request_duration_seconds'
    assert 0 < families[name][1][name + '_sum', (('opcode', 'CREATE'),)] < 60


def test_nobody_looks(t):
    """Five seconds after the last question no request is measured any more."""
    load = Load(t, 'getattr', 20)
    load.busy('GETATTR')
    before = load.ask()
    time.sleep(7)
    after = load.ask()
    requests = int(after['requests.GETATTR']) - int(before['requests.GETATTR'])
    n = measured(after, 'GETATTR') - measured(before, 'GETATTR')
    assert 0.3 * requests < n < 0.95 * requests, (n, requests)
    time.sleep(0.1)
    assert measured(load.ask(), 'GETATTR') > measured(after, 'GETATTR'), 'somebody looks again'


if __name__ == '__main__':
    run(globals())
