#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`vdax stat` against daemons that say what the test wants: rates, forms, and bad answers."""
import json
import os
import re
import socket
import subprocess
import threading
import time

from vdaxtest import VDAX, Daemon, run, wait_for

BOUNDS = 'latency_bounds_ns 1000 2000 4000\n'


class FakeDaemon:
    """Answers each connection with the next text, then again with the last."""

    def __init__(self, t, *answers, hold=False):
        self.path = t.path('ctl')
        self.answers, self.hold, self.asked, self.kept = list(answers), hold, [], []
        self.listen = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listen.bind(self.path)
        self.listen.listen(8)
        t.started.append(self)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s = self.listen.accept()[0]
            except OSError:
                return
            self.asked.append(time.monotonic())
            text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            try:
                s.sendall(text.encode('utf-8', 'surrogateescape'))
            except OSError:
                pass  # it has heard enough
            if self.hold:
                self.kept.append(s)
            else:
                s.close()

    def end(self):
        self.listen.shutdown(socket.SHUT_RDWR)
        self.listen.close()


def fs_answer(seconds, reads, errors=0, buckets=(), more=''):
    text = f'device fs\nshare /a "b"\\c\ntime_ns {int(seconds * 1e9)}\nconnected 1\n'
    text += f'queue_popped.0 1\nqueue_popped.1 {reads + 2}\n'
    text += 'queue_depth.0 0\nqueue_depth.1 2\n' + BOUNDS
    text += f'requests.READ {reads}\nerrors.READ {errors}\n'
    if buckets:
        text += 'latency_sum_ns.READ 5000\nlatency.READ ' + ' '.join(map(str, buckets)) + '\n'
    return text + 'requests.OPEN 7\nerrors.OPEN 7\n' + more


def test_json(t):
    d = FakeDaemon(t, fs_answer(10, 1000), fs_answer(14, 3000, 20, (0, 100, 0, 100)))
    p = t.vdax('stat', '--json', '--interval', '0.2', d.path)
    assert p.returncode == 0, p.stderr
    found = json.loads(p.stdout)
    assert found['share'] == '/a "b"\\c' and found['connected'] == 1
    assert found['queue_depth'] == {'0': 0, '1': 2} and found['queue_popped']['1'] == 3002
    assert found['interval_s'] == 4, 'by the clock of the daemon'
    assert found['opcodes']['READ'] == {
        'requests': 3000, 'errors': 20, 'requests_per_s': 500, 'errors_per_s': 5,
        'measured': 200, 'p50_us': 2, 'p99_us': 4, 'p999_us': 4}
    assert found['opcodes']['OPEN'] == {
        'requests': 7, 'errors': 7, 'requests_per_s': 0, 'errors_per_s': 0,
        'measured': 0, 'p50_us': None, 'p99_us': None, 'p999_us': None}
    assert found['all']['requests'] == 3007 and found['all']['requests_per_s'] == 500
    assert 'requests' not in found and 'time_ns' not in found
    assert len(d.asked) == 2 and 0.2 <= d.asked[1] - d.asked[0] < 2, d.asked


def test_table(t):
    d = FakeDaemon(t, fs_answer(10, 1000), fs_answer(14, 3000, 20, (0, 100, 0, 100)))
    p = t.vdax('stat', '--interval', '0.01', d.path)
    assert p.returncode == 0, p.stderr
    lines = [line.split() for line in p.stdout.split('\n')]
    assert ['queue_depth', '0', '2'] in lines and ['device', 'fs'] in lines
    assert ['READ', '500.0', '5.0', '2.0', '4.0', '4.0', '3000', '20'] in lines, p.stdout
    assert ['OPEN', '0.0', '0.0', '-', '-', '-', '7', '7'] in lines
    assert ['all', '500.0', '5.0', '2.0', '4.0', '4.0', '3007', '27'] in lines


def test_no_request_yet(t):
    d = FakeDaemon(t, 'device fs\ntime_ns 1\n' + BOUNDS, 'device fs\ntime_ns 2\n' + BOUNDS)
    found = json.loads(t.vdax('stat', '--json', '--interval', '0.01', d.path).stdout)
    assert found['opcodes'] == {} and found['all']['requests'] == 0
    assert t.vdax('stat', '--prometheus', d.path).returncode == 0


def test_watch(t):
    """Each table is of the interval since the one before; the end of the daemon ends it."""
    answers = [fs_answer(i, 100 * i * i) for i in range(1, 5)]
    d = FakeDaemon(t, *answers, 'wrong')
    p = t.vdax('stat', '--watch', '--interval', '0.01', d.path)
    assert p.returncode == 1 and 'not the answer' in p.stderr, p.stderr
    rates = re.findall(r'^READ +(\S+)', p.stdout, re.M)
    assert rates == ['300.0', '500.0', '700.0'], p.stdout
    d = FakeDaemon(t, *answers, 'wrong')
    p = t.vdax('stat', '--watch', '--json', '--interval', '0.01', d.path)
    decoder, text, found = json.JSONDecoder(), p.stdout.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value['all']['requests_per_s'])
        text = text[end:].lstrip()
    assert found == [300, 500, 700], found


def test_asks_in_time(t):
    """The daemon forgets about us after five seconds: a longer interval asks in between."""
    d = FakeDaemon(t, fs_answer(1, 1))
    p = subprocess.Popen([VDAX, 'stat', '--interval', '60', d.path], stdout=subprocess.DEVNULL)
    try:
        wait_for('a third question', lambda: len(d.asked) >= 3, 10)
    finally:
        p.kill()
        p.wait()
    assert max(b - a for a, b in zip(d.asked, d.asked[1:])) < 4, d.asked


def test_bad_answers(t):
    for text, message in (('', 'no answer'),
                          ('device', 'not the answer'),
                          ('device fs\ninodes 5', 'not the answer'),
                          ('HTTP/1.1 400 Bad Request\r\n\r\n', 'not the answer'),
                          ('device fs\nrequests.READ 5x\n', 'not the answer'),
                          (''.join(f'k{i} 1\n' for i in range(600)), 'not the answer'),
                          ('device fs\nshare ' + 'x' * (1 << 20) + '\n', 'rotocol')):
        d = FakeDaemon(t, text)
        p = t.vdax('stat', d.path)
        assert p.returncode == 1 and not p.stdout, (text[:40], p.stdout)
        assert message in p.stderr or 'not the answer' in p.stderr, (text[:40], p.stderr)
        d.end()
        t.started.remove(d)
    assert t.vdax('stat', t.path('none')).returncode == 1


def test_hanging_daemon(t):
    d = FakeDaemon(t, 'device fs\n', hold=True)
    begin = time.monotonic()
    p = t.vdax('stat', d.path)
    assert p.returncode == 1 and 'no answer' in p.stderr, p.stderr
    assert time.monotonic() - begin < 15


def test_options(t):
    for args in (['--prometheus', '--json'], ['--prometheus', '--watch'], ['--interval', '0'],
                 ['--interval', '0.009'], ['--interval', 'x'], ['--interval', '-1']):
        p = t.vdax('stat', *args, t.path('none'))
        assert p.returncode == 2 and args[0] in p.stderr, (args, p.stderr)


# --- Prometheus: a strict reader of its text format, version 0.0.4

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)$')
SUFFIXES = {'histogram': ('_bucket', '_sum', '_count'), 'counter': ('',), 'gauge': ('',)}


def read_exposition(text):
    """{family: (type, {(sample name, labels): value})}; fails over anything that is wrong."""
    assert text.endswith('\n') and '\r' not in text
    families, helped, family = {}, set(), None
    for line in text[:-1].split('\n'):
        if line.startswith('# HELP '):
            name, words = line[7:].split(' ', 1)
            assert name not in helped and words, line
            helped.add(name)
        elif line.startswith('# TYPE '):
            family, kind = line[7:].split(' ')
            assert re.fullmatch(NAME, family) and family.startswith('vdax_'), line
            assert family not in families, f'the samples of {family} are not together'
            assert family in helped and kind in SUFFIXES, line
            assert kind != 'counter' or family.endswith('_total'), line
            families[family] = (kind, {})
        else:
            m = SAMPLE.match(line)
            assert m and family, line
            kind, samples = families[family]
            assert m[1] in [family + s for s in SUFFIXES[kind]], line
            labels = re.findall(LABEL, m[2] or '')
            assert len({k for k, _ in labels}) == len(labels), line
            key = (m[1], tuple(sorted(labels)))
            assert key not in samples, f'twice: {line}'
            samples[key] = float(m[7])
            assert kind == 'gauge' or samples[key] >= 0, line
    assert all(samples for _, samples in families.values()), 'a family without samples'
    for family, (kind, samples) in families.items():
        if kind == 'histogram':
            check_histogram(family, samples)
    return families


def check_histogram(family, samples):
    series = {}
    for (name, labels), value in samples.items():
        rest = tuple(x for x in labels if x[0] != 'le')
        entry = series.setdefault(rest, {'buckets': []})
        if name.endswith('_bucket'):
            entry['buckets'].append((float(dict(labels)['le']), value))
        else:
            assert rest == labels, 'le is for buckets'
            entry[name[len(family):]] = value
    for labels, entry in series.items():
        bounds = [b for b, _ in entry['buckets']]
        counts = [n for _, n in entry['buckets']]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float('inf'), labels
        assert counts == sorted(counts) and counts[-1] == entry['_count'], labels
        assert '_sum' in entry, labels


def check_with_package(text):
    """A second opinion, where the package is installed."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        return
    assert list(text_string_to_metric_families(text))


def prometheus(t, path):
    p = t.vdax('stat', '--prometheus', path)
    assert p.returncode == 0, p.stderr
    check_with_package(p.stdout)
    return read_exposition(p.stdout)


def test_prometheus_fs(t):
    d = FakeDaemon(t, fs_answer(10, 10, 2, (1, 2, 3, 4), 'inodes 12\nhandles x\nnews 1\n'))
    found = prometheus(t, d.path)
    assert len(d.asked) == 1, 'one question'
    info, = found['vdax_info'][1]
    assert dict(info[1])['share'] == r'/a \"b\"\\c'
    assert found['vdax_fs_inodes'] == ('gauge', {('vdax_fs_inodes', ()): 12})
    assert 'vdax_fs_handles' not in found and 'vdax_news' not in found
    depth = found['vdax_fs_queue_depth'][1]
    assert depth['vdax_fs_queue_depth', (('queue', '1'),)] == 2
    name = 'vdax_fs_requests_total'
    assert found[name][1] == {(name, (('opcode', 'READ'),)): 10, (name, (('opcode', 'OPEN'),)): 7}
    name = 'vdax_fs_request_duration_seconds'
    kind, samples = found[name]
    assert kind == 'histogram' and samples[name + '_sum', (('opcode', 'READ'),)] == 5e-6
    buckets = {float(dict(labels)['le']): n for (what, labels), n in samples.items()
               if what == name + '_bucket' and ('opcode', 'READ') in labels}
    assert buckets == {1e-6: 1, 2e-6: 3, 4e-6: 6, float('inf'): 10}


def test_prometheus_pmem(t):
    image = t.image('odd \\ "name"\nrequests.READ 5')
    found = prometheus(t, Daemon(t, image).socket + '.ctl')
    info, = found['vdax_info'][1]
    assert dict(info[1])['device'] == 'pmem'
    assert dict(info[1])['image'].endswith(r'odd \\ \"name\"?requests.READ 5')
    assert found['vdax_pmem_size_bytes'][1]['vdax_pmem_size_bytes', ()] == 4 << 20
    assert found['vdax_pmem_syncs_total'][0] == 'counter'
    assert not [name for name in found if name.startswith('vdax_fs_')]


if __name__ == '__main__':
    run(globals())
