/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vdax fs`: ties the virtio-fs device to a vhost-user socket. In order: the background, if asked
 * for; sockets and limits; the sandbox, from which on there may be two processes; capabilities;
 * the device and its threads; the system-call filter. Only then anything is read from a peer.
 */
#include "cmd/fs.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/control.h"
#include "cmd/fs_dax.h"
#include "cmd/fs_options.h"
#include "cmd/fs_socket.h"
#include "fs/fs.h"
#include "fs/report.h"
#include "host/fd.h"
#include "host/lines.h"
#include "host/log.h"
#include "host/log_syslog.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"
#include "wire/vhost_user.h"

struct daemon {
	struct fs_options o;
	const char *name; /* for messages */
	struct fs_background background;
	struct fs_socket socket;
	struct fs_sandbox box;
	struct fs fs;
	struct vhost vhost;
	struct loop loop;
	struct control control;
	struct loop_source signals;
};

/* The answer of the control socket. docs/protocol.md lists the keys. */
static size_t report(void *ctx, char *buf, size_t len)
{
	struct daemon *d = ctx;
	struct lines l = { .buf = buf, .len = len };

	lines_add(&l, "device fs");
	lines_add(&l, "share %s", d->o.fs.shared_dir);
	if (d->o.fs.tag)
		lines_add(&l, "tag %s", d->o.fs.tag);
	lines_add(&l, "connected %d", d->vhost.main.fd >= 0);
	lines_add(&l, "connections %" PRIu64, d->vhost.connections);
	lines_add(&l, "messages %" PRIu64, d->vhost.messages);
	fs_report(&d->fs, &l);
	return l.used;
}

static void set_up_log(struct fs_options *o)
{
	static const enum log_level levels[] = {
		[FS_LOG_OFF] = LOG_LEVEL_OFF,	  [FS_LOG_ERROR] = LOG_LEVEL_ERR,
		[FS_LOG_WARN] = LOG_LEVEL_WARN,	  [FS_LOG_INFO] = LOG_LEVEL_INFO,
		[FS_LOG_DEBUG] = LOG_LEVEL_DEBUG, [FS_LOG_TRACE] = LOG_LEVEL_DEBUG,
	};
	int ret = 0;

	log_set_level(levels[o->log_level]);
	if (o->syslog)
		ret = syslog_open("vdax");
	if (ret)
		log_warn(NULL, "no syslog: %s", strerror(-ret));
	if (o->thread_pool_size != FS_POOL_NOT_SET)
		log_debug(NULL,
			  "--thread-pool-size %" PRIu32 ": requests are served by their queues' "
			  "threads; slow I/O goes to io_uring or, where there is none, to %u "
			  "threads",
			  o->thread_pool_size, o->fs.pool_threads);
	fs_dax_advise(o);
}

static void signal_ready(struct loop_source *src, uint32_t events)
{
	struct daemon *d = container_of(src, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(src->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info(d->name, "ending on signal %u", info.ssi_signo);
	vhost_quit(&d->vhost);
}

/* SIGTERM, SIGINT and SIGHUP come through the loop; blocked before any thread is made. */
static int open_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further is that request's EFBIG */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	d->signals.ready = signal_ready;
	d->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signals.fd < 0)
		return -errno;
	return loop_add(&d->loop, &d->signals, EPOLLIN);
}

/* The process outside of the sandbox: the server has these alone, so that their peers see its end.
 */
static void let_go(void *ctx)
{
	struct daemon *d = ctx;

	fd_close(&d->socket.fd);
	fd_close(&d->socket.control_fd);
	fd_close(&d->background.ready_fd);
	fs_background_detach(&d->background);
}

static void at_end(void *ctx)
{
	struct daemon *d = ctx;

	fs_socket_remove(&d->socket);
}

static int enter_sandbox(struct daemon *d)
{
	const struct fs_options *o = &d->o;
	const struct fs_outside out = { .let_go = let_go, .at_end = at_end, .ctx = d };
	int ret = fs_sandbox_enter(o->sandbox, &o->fs, &o->id_maps, &out, &d->box);

	if (ret)
		return ret;
	if (o->sandbox == FS_SANDBOX_NAMESPACE)
		fs_socket_stay(&d->socket, false);
	if (o->sandbox == FS_SANDBOX_CHROOT) /* no way out for us, so the socket stays */
		fs_socket_stay(&d->socket, true);
	umask(0); /* the guest's has been applied to what it asks for */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = -errno;
	if (!ret)
		ret = fs_caps_apply(&o->caps);
	if (ret)
		log_err(NULL, "sandbox: cannot give up rights: %s", strerror(-ret));
	return ret;
}

/* What must be there before the first thread. 0, or -errno. */
static int prepare_process(struct daemon *d)
{
	int ret = fs_socket_open(&d->socket, &d->o);

	if (!ret)
		ret = fs_process_nofile(d->o.rlimit_nofile, &d->o.fs);
	if (!ret)
		ret = enter_sandbox(d);
	if (!ret)
		ret = fault_init();
	if (!ret)
		ret = loop_init(&d->loop);
	return ret ? ret : open_signals(d);
}

/* Puts the parts together. The loop serves from then on. 0 or -errno. */
static int start_device(struct daemon *d)
{
	int ret = fs_init(&d->fs, d->name, &d->o.fs, &d->box);

	if (ret)
		return ret;
	ret = vhost_init(&d->vhost, &d->loop, d->name, &d->fs.ops, &d->fs);
	if (ret)
		return ret;
	fs_set_host(&d->fs, &d->vhost.host);
	d->vhost.once = !d->o.serve_again;
	if (d->o.no_memory_slots)
		d->vhost.withheld = (uint64_t)1 << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	if (d->socket.control_fd >= 0) {
		ret = control_init(&d->control, &d->loop, d->socket.control_fd, report, d);
		d->socket.control_fd = -1;
	}
	if (ret)
		return ret;
	ret = d->socket.listening ? vhost_listen(&d->vhost, d->socket.fd)
				  : vhost_attach(&d->vhost, d->socket.fd);
	d->socket.fd = -1;
	return ret;
}

/* From nothing to a locked sandbox; then serves. 0, or -errno after a message. */
static int serve(struct daemon *d)
{
	const struct filter own = { .calls = fs_syscalls, .rules = fs_syscall_rules };
	int ret = prepare_process(d);

	if (!ret)
		ret = start_device(d);
	if (!ret)
		fs_background_detach(&d->background);
	if (!ret)
		ret = filter_lock(d->o.seccomp, &own);
	if (ret) {
		log_err(d->name, "cannot serve: %s", strerror(-ret));
		return ret;
	}
	/* Launchers wait for these words. */
	if (d->vhost.listening)
		log_info(d->name, "Waiting for vhost-user socket connection...");
	fs_background_ready(&d->background);
	ret = loop_run(&d->loop);
	if (ret)
		log_err(d->name, "cannot serve: %s", strerror(-ret));
	return ret;
}

static void clean_up(struct daemon *d)
{
	if (d->vhost.ops)
		vhost_fini(&d->vhost);
	control_fini(&d->control);
	fs_fini(&d->fs);
	fd_close(&d->signals.fd);
	if (d->loop.epfd > 0)
		loop_fini(&d->loop);
	fd_close(&d->box.root_fd);
	fd_close(&d->box.proc_self_fd);
	fd_close(&d->box.mountinfo_fd);
	fs_socket_remove(&d->socket); /* if nobody outside does */
	fs_socket_close(&d->socket);
}

int cmd_fs(int argc, char **argv)
{
	/* static: it holds a queue thread's state for each queue */
	static struct daemon d = {
		.background = { .ready_fd = -1, .null_fd = -1 },
		.socket = { .fd = -1,
			    .control_fd = -1,
			    .pid_fd = -1,
			    .dir_fd = -1,
			    .control_dir_fd = -1 },
		.box = { .root_fd = -1, .proc_self_fd = -1, .mountinfo_fd = -1 },
		.control.listen.fd = -1,
		.signals.fd = -1,
	};
	int status, ret = 0;

	if (fs_options_parse(argc, argv, &d.o, &status))
		return status;
	d.name = d.o.fs.tag ? d.o.fs.tag : d.o.fs.shared_dir;
	if (d.o.daemonize)
		ret = fs_background_enter(&d.background);
	set_up_log(&d.o);
	if (ret)
		log_err(NULL, "cannot go to the background: %s", strerror(-ret));
	else
		ret = serve(&d);
	clean_up(&d);
	return ret ? EXIT_FAILED : EXIT_OK;
}
