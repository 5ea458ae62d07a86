#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A device that fails, at each step, while vpmem.ko is at work; and a driver that comes and goes.

Every bio ends exactly once with the right error, every process ends within seconds, later writes
fail and reads do not, the numbers add up, and a new device works.
usage: test_kmod_faults.py faults COUNT STATE-FILE|- KERNEL...
       test_kmod_faults.py only STEP ACTION LOAD COUNT KERNEL...
       test_kmod_faults.py load COUNT KERNEL..."""

import os
import random

import kmodtest
import vmtest
from vmtest import check

OF_ONE_GUEST = 100

EIO, ETIMEDOUT = 5, 110
# A disk that has gone: what the block layer and the driver say of it.
GONE = (EIO, 6, 19)

# What becomes of the bios that wait for the request an action is for: errnos, 0 for success.
# Those that come later may see more, see later_errors().
ACTIONS = {
    "ok": (0,),
    "delay-30": (0,),
    "thread": (0,),
    "error": (EIO,),
    "error-1": (EIO,),
    "short": (EIO,),
    "bad-id": (EIO,),
    "needs-reset": (EIO,),
    "silent-reset": (EIO,),
    "stall": (ETIMEDOUT,),
    "twice": (0, EIO),     # it was told of the first answer, and then the queue broke
    "gone": (0,),
    "gone-silent": (ETIMEDOUT,),
    "gone-surprise": (EIO,),
}
WORKS = ("ok", "delay-30", "thread")
IDLE = ("bad-id", "twice", "needs-reset", "silent-reset", "gone", "gone-surprise")
STEPS = ("probe", "preflush", "fua", "batch", "remove")
LOADS = ("none", "none", "direct", "fsync", "ext4")


def matrix():
    """All pairs of a step and an action that mean something."""
    pairs = [(step, action) for step in STEPS for action in ACTIONS]
    pairs += [("idle", action) for action in IDLE]
    return pairs + [("late", "stall"), ("release", "stall"), ("suspend", "ok"),
                    ("suspend", "stall"), ("resume", "stall"), ("resume", "error"),
                    ("asleep", "ok")]


def errors(step, action, load):
    """Which errnos the bios of the step itself may have."""
    want = set(ACTIONS[action])
    if step == "release" or (step, action) == ("suspend", "ok"):
        return {0}
    if step == "asleep":
        return set(GONE)
    if step == "idle":
        want = {EIO}
    if load != "none" and action not in WORKS:
        want |= {0}     # the request was somebody else's, who came before
    if load != "none" and want != {0}:
        want |= {0, EIO, ETIMEDOUT}
    if action.startswith("gone"):
        want |= {*GONE, 0} if step in ("idle", "batch", "remove") or load != "none" else want
    if step == "remove" and action not in WORKS:
        want |= {*GONE, ETIMEDOUT, 0}
    return want


def shuffled(seed):
    """The pairs in an order where each step and each action comes early, and the rest follows."""
    pairs = matrix()
    random.Random(seed).shuffle(pairs)
    seen, first, rest = set(), [], []
    for pair in pairs:
        (rest if seen.issuperset(pair) else first).append(pair)
        seen.update(pair)
    return first + rest


def plan(first, count):
    """The iterations, as lines for the guest. The same number is always the same iteration."""
    for number in range(first, first + count):
        round_number, at = divmod(number, len(matrix()))
        step, action = shuffled(round_number)[at]
        load = LOADS[(number + round_number) % len(LOADS)]
        if step in ("late", "probe", "suspend", "resume", "asleep"):
            load = "none"
        want = " ".join(map(str, sorted(errors(step, action, load))))
        yield f"one {number} {step} {action} {load} '{want}'"


BEGIN = """
insmod /test/vpmem_testdev.ko || fail insmod
insmod /test/vpmem_testbio.ko || fail insmod
insmod /vpmem/vpmem.ko || fail insmod
echo 60 >/proc/sys/kernel/hung_task_timeout_secs 2>/dev/null
disk=/dev/vpmem0
stats=/sys/block/vpmem0/vpmem
limit=/sys/module/vpmem/parameters/timeout
mkdir -p /m

# Parts of the disk: a file system, what loads write, what the steps write.
fs_sectors=65536 load_mib=40 place=98304 kept=106496

hang() {
    echo "FAILED: hangs: $*"
    for stack in /proc/[0-9]*/stack; do
        process=${stack%/stack}
        grep -q '^State:.*D ' $process/status 2>/dev/null || continue
        trace=$(cat $stack 2>/dev/null)
        [ -z "$trace" ] || echo "$(cat $process/comm): $trace"
    done
    cat $D/counts $D/log $B/result
    sleep 1     # for the output; nothing ends a machine with a device that is stuck but this
    echo b >/proc/sysrq-trigger
}

# start NAME COMMAND...: in the background. finished NAME: has it ended?
start() {
    rm -f /tmp/end.$1
    ( name=$1; shift; "$@"; echo $? >/tmp/end.$name ) &
}

finished() {
    [ -e /tmp/end.$1 ]
}

await() {       # NAME: with its status
    until_true 20 finished $1 || hang $1
    wait
    read -r status </tmp/end.$1
    return $status
}

exists() {
    [ "$(field $D/counts exists)" = 1 ]
}

is_gone() {
    ! exists && [ ! -e /sys/block/vpmem0 ]
}

# A load that opens a disk which has just gone makes a file in its place.
create() {
    [ -b $disk ] || rm -f $disk
    start create say $D/create 1 >/dev/null
    await create
}

# A mounted file system is waited for: it has to be told.
destroy() {
    start destroy say $D/destroy 1 >/dev/null
    [ $load != ext4 ] || { usleep 100000; end_load ext4; }
    await destroy
}

# Until somebody says stop, or it fails.
load_direct() {
    while [ ! -e /tmp/stop ] && [ -b $disk ] && dd if=/dev/zero of=$disk bs=16k count=8 \\
            seek=$((load_mib * 64)) oflag=direct conv=notrunc,fsync 2>/dev/null; do
        : >/tmp/loaded
    done
}

load_fsync() {
    while [ ! -e /tmp/stop ] && [ -b $disk ] && dd if=/dev/zero of=$disk bs=64k count=2 \\
            seek=$((load_mib * 16)) conv=notrunc,fsync 2>/dev/null; do
        : >/tmp/loaded
    done
}

load_ext4() {
    while [ ! -e /tmp/stop ] && dd if=/dev/zero of=/m/file bs=16k count=4 conv=fsync 2>/dev/null
    do
        : >/tmp/loaded
    done
}

start_load() {  # LOAD
    rm -f /tmp/stop /tmp/loaded
    [ $1 != none ] || return 0
    [ $1 != ext4 ] || mount -t ext4 $disk /m || fail mount
    start load1 load_$1
    start load2 load_$1
    until_true 20 test -e /tmp/loaded || fail "the load $1 does nothing"
}

end_load() {    # LOAD
    : >/tmp/stop
    [ $1 != none ] || return 0
    until_true 20 finished load1 || hang load1
    until_true 20 finished load2 || hang load2
    ! grep -q ' /m ' /proc/mounts || { start umount umount /m; await umount || fail umount; }
    wait
}

# A device and its disk, which work.
begin_disk() {
    create
    until_true 5 test -b $disk || fail "no disk"
    [ "$(cat $stats/state)" = running ] || fail "state $(cat $stats/state)"
    tell $B/submit $disk write preflush+fua $kept 4096 $byte
    tell $B/submit $disk write none $place 8192 0x77
}

# What bios of the step have ended with; $want has all that is right.
check_bios() {
    [ "$(say $B/wait 20)" = ok ] || hang bios
    result=$(head -n 1 $B/result)
    [ "$(field $B/result submitted)" = "$(field $B/result ended)" ] || fail "pending: $result"
    [ "$(field $B/result twice)" = 0 ] || fail "twice: $(cat $B/result)"
    for word in $result; do
        case $word in
        errno*)
            code=${word#errno}
            case " $want " in
            *" ${code%=*} "*) ;;
            *) fail "$line: want errno $want, got $result" ;;
            esac ;;
        esac
    done
}

# flushes = batches + merged, while all is well. Each time a device is started it is asked once.
check_running() {
    [ "$(cat $stats/state)" = running ] || fail "$line: state $(cat $stats/state)"
    [ "$(cat $stats/errors)" = 0 ] || fail "$line: errors $(cat $stats/errors)"
    set -- $(cat $stats/flushes $stats/requests $stats/merged)
    [ $1 = $(($2 - starts + $3)) ] || fail "$line: flushes $1, requests $2, merged $3"
}

# Writes fail, reads do not, and nothing is asked of the device any more.
check_failed() {
    [ "$(cat $stats/state)" = failed ] || fail "$line: state $(cat $stats/state)"
    asked=$(field $D/counts requests)
    errors=$(cat $stats/errors)
    for how in "write none" "write preflush" "write fua" "zeroes none"; do
        [ "$(say $B/submit $disk $how $((kept + 64)) 4096 1)" != ok ] ||
            fail "$line: $how after the failure"
    done
    [ "$(say $B/submit $disk write preflush+empty 0 0 0)" != ok ] ||
        fail "$line: a flush after the failure"
    tell $B/submit $disk read none $kept 4096 $byte
    [ "$asked" = "$(field $D/counts requests)" ] || fail "$line: asked again"
    # Of these, a PREFLUSH and an empty flush were asked for; the others had to fail before.
    [ $(($(cat $stats/errors) - errors)) = 2 ] || fail "$line: errors $errors, then $(cat $stats/errors)"
}

# All that was asked of the device is in the driver's numbers, and none of it was wrong.
check_counts() {
    for name in spurious malformed stray; do
        [ "$(field $D/counts $name)" = 0 ] || fail "$line: $name"
    done
    [ "$(field $D/counts max_depth)" -le 1 ] || fail "$line: more than one request at a time"
}

how_to_submit() {       # atomically where nobody else is at work, every other time
    if [ $((number % 2)) = 1 ] && [ $load = none ]; then
        echo atomic
    else
        echo async
    fi
}

batch() {       # COUNT FLAGS
    said=$(say $B/batch $(how_to_submit) $1 $disk write $2 $place 4096 0x78)
    case $said,$action in
    ok,*) ;;
    *,gone*) ;; # it could not be opened any more
    *) fail "$line: $said" ;;
    esac
}

step_preflush() {
    tell $D/plan $action 1
    batch 1 preflush
}

step_fua() {
    tell $D/plan $action 2
    batch 1 preflush+fua
}

# It takes a while, or the rest would come after it.
step_batch() {
    case $action in
    *gone* | *reset)
        tell $D/plan delay-50 1
        tell $D/plan $action 2 ;;
    *)
        tell $D/plan $action 1 50 ;;
    esac
    batch 8 preflush+fua
}

step_idle() {
    tell $D/plan $action 0
    [ $((number % 3)) = 0 ] || usleep 5000
    batch 3 preflush
}

step_remove() {
    tell $D/plan $action 1
    batch 4 preflush+fua
    destroy
}

has_answered() {
    [ "$(field $D/counts answered)" -gt $answered ]
}

# Too late: it was failed, and stays so.
step_late() {
    tell $D/plan $action 1
    batch 4 preflush+fua
    [ "$(say $B/wait 20)" = ok ] || hang bios
    answered=$(field $D/counts answered)
    tell $D/release 1
    until_true 5 has_answered || fail "$line: no late answer"
}

# Late, but in time.
step_release() {
    tell $D/plan $action 1
    batch 4 preflush+fua
    usleep 300000
    tell $D/release 1
}

# What comes while the device sleeps waits for it. A silent host ends the wait before that.
step_suspend() {
    tell $D/plan $action 1
    batch 1 preflush+fua
    frozen=$(say $D/freeze 1)
    if [ $frozen = ok ]; then
        start sleeper batch 4 preflush+fua
        usleep 50000
        said=$(say $D/restore 1)
        [ "$said" = ok ] || fail "restore: $said"
        await sleeper
        starts=2
    fi
}

has_submitted() {
    [ "$(field $B/result submitted)" = $1 ]
}

# When the device wakes up the host does not answer, or cannot: the memory may not be there.
step_resume() {
    tell $D/freeze 1
    start sleeper batch 4 preflush+fua
    until_true 20 has_submitted 4 || hang "$line: nothing sleeps"
    tell $D/plan $action 1
    [ "$(say $D/restore 1)" != ok ] || fail "$line: restored"
    await sleeper
    [ "$(cat $stats/state)" = failed ] || fail "$line: state $(cat $stats/state)"
    [ "$(say $B/submit $disk read none $kept 4096 $byte)" != ok ] || fail "$line: read"
}

# It is taken away while it sleeps.
step_asleep() {
    tell $D/freeze 1
    start sleeper batch 4 preflush+fua
    until_true 20 has_submitted 4 || hang "$line: nothing sleeps"
    destroy
    await sleeper
}

# What has to be true of a disk whose request for data failed before the data was copied.
check_not_written() {
    [ $step,$load = preflush,none ] && [ $action != twice ] || return 0
    tell $B/submit $disk read none $place 4096 0x77
}

end_step() {
    case $step in
    resume | asleep) return ;;
    esac
    case $action in
    ok | delay-* | thread)
        [ $load = none ] || sleep 0.1
        [ $step = remove ] || end_load $load
        [ $step = remove ] || check_running ;;
    gone*)
        end_load $load
        until_true 20 is_gone || hang gone ;;
    *)
        [ $step = remove ] || [ $step = release ] || check_failed
        [ $step = remove ] || [ $step = release ] || check_not_written ;;
    esac
}

probe() {
    tell $D/plan $action 1
    create
    case $action in
    ok | delay-* | thread) check_running ;;
    gone*) until_true 20 is_gone || hang gone ;;
    twice) ;;
    *) [ ! -b $disk ] || fail "$line: a disk" ;;
    esac
}

# Where nobody answers it is quick; where somebody does, a slow machine must not matter.
choose_limit() {
    case $step,$action in
    release,*) echo 30 ;;
    *,stall | *,gone-silent) echo 1 ;;
    *) echo 30 ;;
    esac
}

one() { # NUMBER STEP ACTION LOAD ERRNOS
    line="$*"
    number=$1 step=$2 action=$3 load=$4 want=$5
    byte=$((number % 200 + 1)) starts=1
    choose_limit >$limit
    tell $D/plan clear
    tell $D/log clear
    if [ $step = probe ]; then
        probe
    else
        begin_disk
        start_load $load
        step_$step
        check_bios
        end_step
    fi
    [ $((number % 4)) != 3 ] || ! exists || destroy     # with somebody at work
    end_load $load
    tell $B/clear 1
    ! exists || destroy
    until_true 20 is_gone || hang "$line: is not gone"
    check_counts
    echo "done: $line"
}

"""

# A file system that is there from the beginning, and is used by devices that fail.
MKFS = """
line=mkfs number=0 byte=1 load=none
begin_disk
mkfs.ext4 -q -b 4096 $disk $((fs_sectors / 2))k || fail mkfs
tell $D/destroy 1
"""

END = """
line=end action=ok load=none
echo 30 >$limit
begin_disk
e2fsck -fp $disk || [ $? = 1 ] || fail "the file system is damaged"
destroy
rmmod vpmem_testbio && rmmod vpmem_testdev && rmmod vpmem || fail rmmod
"""

# The driver goes while it is used: rmmod is refused, unbinding is not.
LOAD = """
driver=/sys/bus/virtio/drivers/vpmem
action=ok line=load number=0 byte=1 load=none
tell $D/create 1
rounds=COUNT
while [ $rounds -gt 0 ]; do
    line="load, $rounds to go"
    [ -e $driver ] || insmod /vpmem/vpmem.ko || fail insmod
    until_true 5 test -b $disk || fail "$line: no disk"
    case $((rounds % 3)) in 0) load=direct ;; 1) load=fsync ;; 2) load=none ;; esac
    start_load $load
    batch 8 preflush+fua
    rmmod vpmem 2>/dev/null && fail "$line: rmmod while the disk is open"
    start unbind say $driver/unbind virtio0 >/dev/null
    until_true 20 finished unbind || hang unbind
    want="0 5 6 19"
    check_bios
    end_load $load
    [ ! -e /sys/block/vpmem0 ] || fail "$line: the disk is there"
    tell $B/clear 1
    if [ $((rounds % 2)) = 0 ]; then
        until_true 5 rmmod vpmem 2>/dev/null || fail "$line: rmmod"
    else
        tell $driver/bind virtio0
    fi
    check_counts
    rounds=$((rounds - 1))
done
destroy
rmmod vpmem 2>/dev/null
rmmod vpmem_testbio && rmmod vpmem_testdev || fail rmmod
"""


def run_faults(kernel, lines):
    with vmtest.Scratch() as s:
        script = BEGIN + MKFS + "\n".join(lines) + END
        output = kmodtest.run(s, kernel, script, timeout=300 + 10 * len(lines))
        check(("\n" + output).count("\ndone: ") == len(lines), "not all iterations were made")


def faults(count, state, *kernels):
    """Guests of some iterations each, with the kernels in turn; goes on where it was stopped."""
    count = int(count)
    done = vmtest.read_state(state)
    while done < count:
        step = min(OF_ONE_GUEST, count - done)
        run_faults(kernels[done // OF_ONE_GUEST % len(kernels)], list(plan(done, step)))
        done += step
        vmtest.write_state(state, done)
        print(f"faults: {done} of {count}", flush=True)
    if state != "-":
        os.unlink(state)


def only(step, action, load, count, *kernels):
    """One kind of iteration, to look into."""
    for kernel in kernels:
        want = " ".join(map(str, sorted(errors(step, action, load))))
        lines = [f"one {n} {step} {action} {load} '{want}'" for n in range(int(count))]
        run_faults(kernel, lines)


def load_and_unload(count, *kernels):
    for kernel in kernels:
        with vmtest.Scratch() as s:
            script = BEGIN + LOAD.replace("COUNT", count)
            kmodtest.run(s, kernel, script, timeout=300 + 20 * int(count))
        print(f"{kernel}: loaded and unloaded {count} times", flush=True)


def test(_, what, *words):
    {"faults": faults, "only": only, "load": load_and_unload}[what](*words)


if __name__ == "__main__":
    vmtest.main(test)
