#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SQLite in WAL mode, by two processes at once, with the database and the index of its log on DAX:
nothing is lost or broken, as the guest and then the host see it.
usage: test_dax_sqlite.py KERNEL [TRANSACTIONS]"""

import contextlib
import sqlite3

import daxtest
import vmtest
from vmtest import check_eq

MODES = ("inode", "always")

# Each transaction is two rows; one of them is changed by the next. The first mount makes the files,
# so that the second finds them.
SCRIPT = """
worker() {
    echo ".timeout 60000"
    [ $1 = mapped ] && echo "pragma mmap_size=268435456;"
    echo "pragma synchronous=full;"
    for i in $(seq COUNT); do
        echo "begin immediate; insert into t values('$1', $i, randomblob($((i * 37 % 5000))));
              insert into u values('$1', $i); update t set b=zeroblob(length(b)) where
              who='$1' and n=$((i - 1)); commit;"
    done
}
for mode in inode always; do
    share $mode
    sqlite3 $mode.db "pragma journal_mode=wal; create table t(who, n, b); create table u(who, n);
        create index i on t(who, n); insert into t values('old', 0, zeroblob(3000000));"
    unshare_it
    share $mode
    dax_map $mode.db dax
    worker mapped >/tmp/mapped
    worker plain >/tmp/plain
    sqlite3 -bail $mode.db </tmp/mapped >/dev/null &
    sqlite3 -bail $mode.db </tmp/plain >/dev/null
    wait $!
    [ "$(ls $mode.db*)" = $mode.db ]
    echo "$mode: $(sqlite3 $mode.db "pragma integrity_check; select count(*) from t")"
    unshare_it
done
"""


def check_database(path, count):
    with contextlib.closing(sqlite3.connect(path)) as db:
        check_eq("integrity", db.execute("pragma integrity_check").fetchall(), [("ok",)])
        check_eq("journal", db.execute("pragma journal_mode").fetchall(), [("wal",)])
        for table in ("t", "u"):
            for who in ("mapped", "plain"):
                rows = db.execute(f"select n from {table} where who=? order by n", (who,))
                check_eq(f"{path}: {table}, {who}", [n for n, in rows],
                         list(range(1, count + 1)))
        wrong = db.execute("select who, n from t where length(b) != "
                           "case who when 'old' then 3000000 else n * 37 % 5000 end")
        check_eq(f"{path}: wrong lengths", wrong.fetchall(), [])


def test(s, kernel, count="100"):
    daemon = daxtest.Daemon(s, "64M", *daxtest.ALL_FILES)
    guest = daxtest.boot(s, [daemon], SCRIPT.replace("COUNT", count), kernel, timeout=900)
    guest.finish()
    daemon.check_ended()
    check_eq("what the guest says", guest.output().splitlines(),
             [line for mode in MODES
              for line in ("wal", f"{mode}: ok", str(2 * int(count) + 1))])
    for mode in MODES:
        check_database(daemon.path(f"{mode}.db"), int(count))


vmtest.main(test)
