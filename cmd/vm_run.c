/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread, and one place where it waits: pump(). Signals come through a signalfd, also
 * SIGCHLD, on which all children are looked at. With a COMMAND, what the guest writes comes
 * through two pipes and goes on to stdout and stderr.
 *
 * The first SIGINT, SIGTERM or SIGHUP ends the guest: QEMU is killed, as it has nothing to
 * lose, and the daemons get SIGTERM, on which they finish a sync that they are in. The second
 * one kills them all.
 */
#include "cmd/vm_run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/listen.h"
#include "cmd/vm_proc.h"
#include "cmd/vm_stream.h"
#include "host/fd.h"
#include "host/log.h"

#define QEMU_GRACE_NS 2000000000ull /* for QEMU to end after a daemon has */
#define LOG_TAIL      20u	    /* lines of the kernel log to show if the guest died */

/* What comes from QEMU: the command's output, unless there is a console, and its own messages. */
enum { STREAM_OUT, STREAM_ERR, STREAM_QEMU, N_STREAMS };

/*
 * QEMU says this each time when a daemon refuses to see a mapping of a device, or when there are
 * more of them than daemons without memory slots can be told. Nothing is wrong: docs/design.md.
 */
static const char *const qemu_noise[] = {
	"vhost_set_mem_table failed: Input/output error (5)",
	"vhost_set_mem_table failed: No buffer space available (105)",
	"Failed preparing vhost-user memory table msg",
	NULL,
};

/* What QEMU changes of stdin and stdout while they are the console. */
struct terminal {
	bool saved, is_tty;
	int flags[2];
	struct termios mode;
};

struct vm {
	struct vm_plan *plan;
	char dir[64];
	char log[96];
	struct proc daemons[VM_DEVICES_MAX];
	struct proc initramfs;
	struct proc qemu;
	int signals;	   /* signalfd */
	sigset_t old_mask; /* for the children */
	int stop;	   /* the signal that asked us to end, or 0 */
	struct stream streams[N_STREAMS];
	struct terminal terminal;
};

static struct proc *child(struct vm *vm, unsigned i)
{
	if (i < vm_daemons(vm->plan))
		return &vm->daemons[i];
	i -= vm_daemons(vm->plan);
	return i == 0 ? &vm->initramfs : i == 1 ? &vm->qemu : NULL;
}

static void signal_all(struct vm *vm, int signo)
{
	struct proc *p;

	for (unsigned i = 0; (p = child(vm, i)); i++)
		proc_signal(p, signo);
}

static void take_signal(struct vm *vm)
{
	struct signalfd_siginfo info;
	struct proc *p;

	if (read(vm->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		for (unsigned i = 0; (p = child(vm, i)); i++)
			proc_check(p);
	} else if (vm->stop) {
		signal_all(vm, SIGKILL);
	} else {
		vm->stop = (int)info.ssi_signo;
	}
}

/* Waits until something happens or for timeout milliseconds (-1: forever). */
static void pump(struct vm *vm, int timeout)
{
	struct pollfd fds[1 + N_STREAMS] = { { .fd = vm->signals, .events = POLLIN } };

	for (size_t i = 0; i < N_STREAMS; i++)
		fds[1 + i] = stream_pollfd(&vm->streams[i]);
	if (poll(fds, ARRAY_SIZE(fds), timeout) < 0)
		return;
	if (fds[0].revents)
		take_signal(vm);
	for (size_t i = 0; i < N_STREAMS; i++)
		if (fds[1 + i].revents && stream_move(&vm->streams[i]) == -EPIPE &&
		    i == STREAM_OUT && !vm->stop)
			vm->stop = SIGPIPE; /* like any program whose reader went away */
}

/* pump() until the process has ended or ns have passed. */
static void pump_until_end(struct vm *vm, const struct proc *p, uint64_t ns)
{
	uint64_t end = clock_ns() + ns;

	while (p->running && clock_ns() < end)
		pump(vm, (int)((end - clock_ns()) / 1000000) + 1);
}

static int open_signals(struct vm *vm)
{
	static const int wanted[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, &vm->old_mask) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	vm->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return vm->signals < 0 ? -errno : 0;
}

/* A private directory, short enough for the address of a socket in it. */
static int make_directory(struct vm *vm)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int ret;

	if (!base || !*base || strlen(base) > 40 || access(base, W_OK | X_OK) < 0)
		base = "/tmp";
	snprintf(vm->dir, sizeof(vm->dir), "%s/vdax-vm-XXXXXX", base);
	if (mkdtemp(vm->dir))
		return 0;
	ret = -errno;
	log_err(base, "cannot make a directory here: %s", strerror(-ret));
	vm->dir[0] = '\0';
	return ret;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int write_command(const struct vm *vm)
{
	char path[96];
	int ret = 0;
	FILE *f;

	if (!*vm->plan->command)
		return 0;
	snprintf(path, sizeof(path), "%s/command", vm->dir);
	f = fopen(path, "wxe");
	if (!f)
		return -errno;
	vm_write_command(f, vm->plan->command);
	if (fclose(f))
		ret = -errno;
	return ret;
}

/* The daemons and what makes the initramfs; they work at the same time. */
static int start_helpers(struct vm *vm)
{
	const struct proc_how how = { .mask = vm->old_mask };
	struct args a = { .n = 0 };
	int ret = write_command(vm);

	for (unsigned i = 0; !ret && i < vm_daemons(vm->plan); i++) {
		vm_daemon_args(&a, vm->plan, i);
		ret = proc_start(&vm->daemons[i], vm_daemon_name(vm->plan, i), &a, &how);
		args_fini(&a);
	}
	if (!ret) {
		vm_initramfs_args(&a, vm->plan);
		ret = proc_start(&vm->initramfs, "initramfs", &a, &how);
		args_fini(&a);
	}
	return ret;
}

/* Waits until daemon i answers on its control socket, which it does once it serves. */
static int await_daemon(struct vm *vm, unsigned i)
{
	const struct proc *p = &vm->daemons[i];
	char socket[96], path[104], c;
	int fd = -1, ms = 1;
	bool ready = false;

	snprintf(path, sizeof(path), "%s.ctl",
		 vm_daemon_socket(socket, sizeof(socket), vm->plan, i));
	while (p->running && !vm->stop && !ready) {
		if (fd < 0)
			fd = connect_unix(path);
		ready = fd >= 0 && recv(fd, &c, 1, MSG_DONTWAIT) == 1;
		if (!ready)
			pump(vm, ms);
		ms = MIN(ms * 2, 16);
	}
	fd_close(&fd);
	return ready ? 0 : -EIO; /* it has told why */
}

static int await_helpers(struct vm *vm)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < vm_daemons(vm->plan); i++)
		ret = await_daemon(vm, i);
	while (!ret && vm->initramfs.running && !vm->stop)
		pump(vm, -1);
	if (!ret && (vm->stop || vm->initramfs.status))
		ret = -EIO; /* it has told why */
	return ret;
}

static void save_terminal(struct terminal *t)
{
	t->is_tty = tcgetattr(STDIN_FILENO, &t->mode) == 0;
	for (int i = 0; i < 2; i++)
		t->flags[i] = fcntl(i, F_GETFL);
	t->saved = true;
}

static void restore_terminal(const struct terminal *t)
{
	for (int i = 0; t->saved && i < 2; i++)
		fcntl(i, F_SETFL, t->flags[i]);
	if (t->saved && t->is_tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->mode);
}

/* The streams; ends[] are QEMU's ends of them, those of the command it opens by name. */
static int open_streams(struct vm *vm, int *ends, char (*names)[32])
{
	struct vm_machine *m = &vm->plan->machine;
	int ret = 0;

	for (size_t i = 0; !ret && i < N_STREAMS; i++) {
		if (m->console && i != STREAM_QEMU)
			continue;
		ret = stream_open(&vm->streams[i], i == STREAM_OUT ? STDOUT_FILENO : STDERR_FILENO,
				  &ends[i]);
		snprintf(names[i], sizeof(names[i]), "/dev/fd/%d", ends[i]);
	}
	vm->streams[STREAM_QEMU].drop = qemu_noise;
	m->out = names[STREAM_OUT];
	m->err = names[STREAM_ERR];
	return ret;
}

static int start_qemu(struct vm *vm)
{
	const struct vm_machine *m = &vm->plan->machine;
	int ends[N_STREAMS] = { -1, -1, -1 };
	char names[N_STREAMS][32];
	struct args a = { .n = 0 };
	int ret = open_streams(vm, ends, names);

	if (!ret) {
		const struct proc_how how = {
			.terminal = m->console,
			.error_fd = ends[STREAM_QEMU],
			.files = m->window, /* one for each mapping */
			.mask = vm->old_mask,
		};

		if (m->console)
			save_terminal(&vm->terminal);
		qemu_args(&a, m);
		ret = proc_start(&vm->qemu, "QEMU", &a, &how);
		args_fini(&a);
	}
	fd_close_all(ends, ARRAY_SIZE(ends));
	return ret;
}

/* A daemon that has ended though QEMU runs, and goes on for a while: not because of it. */
static const struct proc *ended_daemon(struct vm *vm)
{
	for (unsigned i = 0; i < vm_daemons(vm->plan); i++)
		if (!vm->daemons[i].running) {
			pump_until_end(vm, &vm->qemu, QEMU_GRACE_NS);
			return vm->qemu.running ? &vm->daemons[i] : NULL;
		}
	return NULL;
}

static bool more_to_pass_on(const struct vm *vm)
{
	for (size_t i = 0; i < N_STREAMS; i++)
		if (vm->streams[i].from >= 0)
			return true;
	return false;
}

/* Until the guest has ended, and all that it wrote is passed on. 0 or -errno. */
static int follow(struct vm *vm)
{
	const struct proc *gone = NULL;

	while (vm->qemu.running && !vm->stop && !gone) {
		pump(vm, -1);
		gone = ended_daemon(vm);
	}
	while (more_to_pass_on(vm) && !vm->stop && !gone)
		pump(vm, -1);
	if (!gone)
		return 0;
	log_err(gone->name, "its daemon has ended (%s %d), so the guest must end",
		WIFSIGNALED(gone->status) ? "signal" : "status",
		WIFSIGNALED(gone->status) ? WTERMSIG(gone->status) : WEXITSTATUS(gone->status));
	return -EIO;
}

static void end_children(struct vm *vm)
{
	struct proc *p;

	proc_signal(&vm->initramfs, SIGTERM);
	proc_signal(&vm->qemu, SIGKILL);
	for (unsigned i = 0; i < vm_daemons(vm->plan); i++)
		proc_signal(&vm->daemons[i], SIGTERM);
	for (unsigned i = 0; (p = child(vm, i)); i++)
		while (p->running)
			pump(vm, -1);
}

/* The status that the guest has told, or -1. */
static int guest_status(const struct vm *vm)
{
	char path[96];
	int status = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/status", vm->dir);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "exit %d", &status) != 1)
		status = -1;
	fclose(f);
	return status;
}

static void show_log(const char *path)
{
	char lines[LOG_TAIL][512];
	unsigned n = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return;
	while (fgets(lines[n % LOG_TAIL], sizeof(lines[0]), f))
		n++;
	for (unsigned i = n > LOG_TAIL ? n - LOG_TAIL : 0; i < n; i++)
		fprintf(stderr, "    %s", lines[i % LOG_TAIL]);
	fclose(f);
}

/* Judges a QEMU that has ended by itself. */
static int verdict(const struct vm *vm)
{
	const struct vm_machine *m = &vm->plan->machine;
	int told = guest_status(vm), status = vm->qemu.status;

	if (WIFSIGNALED(status)) {
		log_err(NULL, "QEMU was ended by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGBUS ? ": was an image made smaller?" : "");
		return 128 + WTERMSIG(status);
	}
	if (told >= 0)
		return told;
	if (WEXITSTATUS(status)) {
		log_err(NULL, "QEMU has ended with status %d", WEXITSTATUS(status));
		return EXIT_VM_FAILED;
	}
	if (m->console)
		return EXIT_OK;
	log_err(NULL, "the guest ended before its command did. Its last messages:");
	show_log(m->log);
	return EXIT_VM_FAILED;
}

/* Says which images may have lost writes. */
static bool lost_writes(const struct vm *vm)
{
	bool lost = false;

	for (unsigned i = 0; i < vm->plan->machine.n_images; i++) {
		const struct proc *p = &vm->daemons[i];

		if (!p->name || !WIFEXITED(p->status) || WEXITSTATUS(p->status) != EXIT_LOST_WRITES)
			continue;
		log_err(p->name,
			"a sync of this image has failed: what the guest wrote may be lost");
		lost = true;
	}
	return lost;
}

static void clean_up(struct vm *vm)
{
	for (size_t i = 0; i < N_STREAMS; i++)
		stream_close(&vm->streams[i]);
	restore_terminal(&vm->terminal);
	if (vm->dir[0])
		nftw(vm->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	fd_close(&vm->signals);
}

int vm_run(struct vm_plan *plan)
{
	static struct vm vm; /* static: it holds the buffers of the streams */
	int ret, status = EXIT_VM_FAILED;

	vm = (struct vm){ .plan = plan, .signals = -1 };
	for (size_t i = 0; i < N_STREAMS; i++)
		vm.streams[i].from = -1;
	ret = open_signals(&vm);
	if (!ret)
		ret = make_directory(&vm);
	if (!ret) {
		snprintf(vm.log, sizeof(vm.log), "%s/log", vm.dir);
		plan->machine.dir = vm.dir;
		if (!plan->machine.log)
			plan->machine.log = vm.log;
		ret = start_helpers(&vm);
	}
	if (!ret)
		ret = await_helpers(&vm);
	if (!ret)
		ret = start_qemu(&vm);
	if (!ret)
		ret = follow(&vm);
	end_children(&vm);
	if (lost_writes(&vm))
		status = EXIT_LOST_WRITES;
	else if (vm.stop)
		status = 128 + vm.stop;
	else if (!ret)
		status = verdict(&vm);
	clean_up(&vm);
	return status;
}
