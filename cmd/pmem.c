/* SPDX-License-Identifier: BSD-2-Clause */
/* `vdax pmem`: ties an image, the flush engine and the pmem device to a vhost-user socket. */
#include "cmd/pmem.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/control.h"
#include "cmd/listen.h"
#include "cmd/sandbox.h"
#include "host/fd.h"
#include "host/lines.h"
#include "host/log.h"
#include "pmem/device.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"

struct pmem_cfg {
	const char *socket_path;
	uint32_t fd;
	const char *control;
	uint64_t create;
	uint64_t grow;
	bool sparse;
	bool read_only;
	uint64_t copy_limit;
	uint32_t max_flush_rate;
	bool accept_lost_writes;
	bool memory_slots;
	bool once;
	const char *sandbox;
	bool quiet;
	bool debug;
	const char *image;
};

#define AT(member) offsetof(struct pmem_cfg, member)
#define FD_NOT_SET UINT32_MAX

static const struct option_def options[] = {
	{ "socket-path", "PATH", OPTION_STRING, AT(socket_path), "listen for the front end here" },
	{ "fd", "N", OPTION_U32, AT(fd), "use this inherited socket, listening or connected" },
	{ "control", "PATH", OPTION_STRING, AT(control),
	  "control socket for vdax stat (default: the socket path and .ctl)" },
	{ "create", "SIZE", OPTION_SIZE, AT(create), "make the image first; it must not exist" },
	{ "grow", "SIZE", OPTION_SIZE, AT(grow), "make the image larger first" },
	{ "sparse", NULL, OPTION_FLAG, AT(sparse),
	  "do not reserve space: a full disk then kills the VM" },
	{ "read-only", NULL, OPTION_FLAG, AT(read_only),
	  "give the guest a private copy and discard its writes" },
	{ "copy-limit", "SIZE", OPTION_SIZE, AT(copy_limit),
	  "memory for that copy (default: half of what is free)" },
	{ "max-flush-rate", "N", OPTION_U32, AT(max_flush_rate),
	  "at most N syncs of the image per second" },
	{ "accept-lost-writes", NULL, OPTION_FLAG, AT(accept_lost_writes),
	  "clear the mark that a failed sync has left" },
	{ "memory-slots", NULL, OPTION_FLAG, AT(memory_slots),
	  "for a VM with more than 8 memory regions: see the manual" },
	{ "once", NULL, OPTION_FLAG, AT(once), "exit when the front end goes away" },
	{ "quiet", NULL, OPTION_FLAG, AT(quiet), "only warnings and errors" },
	{ "sandbox", "MODE", OPTION_STRING, AT(sandbox), "full (the default) or none" },
	{ "debug", NULL, OPTION_FLAG, AT(debug), "say more" },
};

const struct command pmem_command = {
	.name = "pmem",
	.args = "[OPTION]... IMAGE",
	.summary = "Serve an image file or block device to a VM as persistent memory.",
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.epilogue =
		"Without --socket-path and --fd only --create, --grow and --accept-lost-writes\n"
		"are done. Exit status: 0, 1 failed, 2 usage, 3 a sync failed: writes may be "
		"lost.",
};

struct daemon {
	const struct pmem_cfg *cfg;
	struct image img;
	struct latch latch;
	struct flush flush;
	struct pmem pmem;
	struct vhost vhost;
	struct loop loop;
	struct control control;
	struct loop_source signals;
	int socket_fd;
	bool listening;
	int control_fd;
};

/* The answer of the control socket. docs/protocol.md lists the keys. */
static size_t report(void *ctx, char *buf, size_t len)
{
	const struct daemon *d = ctx;
	const struct flush *f = &d->flush;
	const struct {
		const char *key;
		uint64_t value;
	} counters[] = {
		{ "size", d->img.size },
		{ "read_only", d->cfg->read_only },
		{ "connected", d->vhost.main.fd >= 0 },
		{ "connections", d->vhost.connections },
		{ "messages", d->vhost.messages },
		{ "mappings_made", d->pmem.maps },
		{ "mappings_kept", d->pmem.kept },
		{ "flushes", f->popped },
		{ "flushes_done", f->done },
		{ "flushes_failed", f->failed },
		{ "syncs", f->syncs },
		{ "sync_ns_total", f->sync_ns },
		{ "sync_ns_max", f->sync_ns_max },
		{ "notifications", d->vhost.workers[0].vq.notified },
		{ "latched_errno", (uint64_t)latch_error(&d->latch) },
	};
	struct lines l = { .buf = buf, .len = len };

	lines_add(&l, "device pmem");
	lines_add(&l, "image %s", d->img.path);
	lines_add(&l, "kind %s", d->img.kind);
	lines_add(&l, "mapping %s", pmem_state_name(&d->pmem));
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		lines_add(&l, "%s %" PRIu64, counters[i].key, counters[i].value);
	return l.used;
}

static int sync_image(void *ctx)
{
	return image_sync(ctx);
}

static const struct sync_ops image_sync_ops = { .sync = sync_image };

/* --create, --grow: before anything is opened. */
static int prepare_image(const struct pmem_cfg *cfg)
{
	int ret = 0;

	if (cfg->create)
		ret = image_create(cfg->image, cfg->create, cfg->sparse);
	if (!ret && cfg->grow)
		ret = image_grow(cfg->image, cfg->grow, cfg->sparse);
	return ret;
}

static bool serves(const struct pmem_cfg *cfg)
{
	return cfg->socket_path || cfg->fd != FD_NOT_SET;
}

static int open_latch(struct daemon *d)
{
	const struct pmem_cfg *cfg = d->cfg;
	int ret = latch_open(&d->latch, cfg->image, d->img.sync_fd);
	int marked = cfg->read_only ? latch_peek(cfg->image) : 0;

	if (!ret && cfg->accept_lost_writes)
		ret = latch_clear(&d->latch);
	if (!ret && marked < 0)
		ret = marked;
	if (ret)
		log_err(cfg->image, "cannot look after the mark of lost writes: %s",
			strerror(-ret));
	else if (latch_error(&d->latch))
		log_err(cfg->image,
			"a sync of this image has failed earlier (%s) and writes may be lost: "
			"every "
			"flush will fail. Check the data, then once: "
			"vdax pmem --accept-lost-writes %s",
			strerror(latch_error(&d->latch)), cfg->image);
	else if (marked)
		log_warn(cfg->image,
			 "a sync of this image has failed earlier (%s): what the copy "
			 "holds may be incomplete",
			 strerror(marked));
	else if (cfg->accept_lost_writes && serves(cfg))
		log_warn(cfg->image, "--accept-lost-writes clears the mark now and at every start "
				     "with it; better do it once, without a socket");
	return ret;
}

static int open_image(struct daemon *d)
{
	const struct pmem_cfg *cfg = d->cfg;
	const struct image_opts opts = {
		.path = cfg->image,
		.sparse = cfg->sparse || !serves(cfg),
		.read_only = cfg->read_only,
		.copy_limit = cfg->copy_limit,
	};
	int ret = image_open(&d->img, &opts);

	if (ret)
		return ret;
	ret = open_latch(d);
	if (ret)
		return ret;
	if (serves(cfg) && cfg->sparse && !cfg->read_only && !d->img.is_block)
		log_warn(cfg->image, "sparse: if the disk is full when the guest stores into a "
				     "hole, the VM is killed");
	return 0;
}

static int open_sockets(struct daemon *d)
{
	const struct pmem_cfg *cfg = d->cfg;
	char path[4096];
	const char *control = cfg->control;
	int ret;

	d->listening = true;
	if (cfg->socket_path) {
		d->socket_fd = listen_unix(cfg->socket_path);
		if (d->socket_fd < 0)
			return d->socket_fd;
		if (!control) {
			snprintf(path, sizeof(path), "%s.ctl", cfg->socket_path);
			control = path;
		}
	} else {
		d->socket_fd = (int)cfg->fd;
		ret = inherited_socket(d->socket_fd, &d->listening);
		if (ret)
			return ret;
	}
	if (control) {
		d->control_fd = listen_unix(control);
		if (d->control_fd < 0)
			return d->control_fd;
	}
	return 0;
}

static void signal_ready(struct loop_source *src, uint32_t events)
{
	struct daemon *d = container_of(src, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(src->fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info(d->img.path, "ending on signal %u", info.ssi_signo);
	vhost_quit(&d->vhost);
}

/* SIGTERM, SIGINT and SIGHUP come through the loop; blocked before any thread is made. */
static int open_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
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

static bool sandboxed(const struct pmem_cfg *cfg)
{
	return strcmp(cfg->sandbox, "none") != 0;
}

/* What must be there before the sandbox, or before the first thread. 0 or -errno. */
static int prepare_process(struct daemon *d)
{
	int ret = fault_init();

	if (!ret)
		ret = loop_init(&d->loop);
	if (!ret)
		ret = open_signals(d);
	if (!ret && sandboxed(d->cfg))
		latch_become_owner(&d->latch);
	if (!ret && !latch_can_write(&d->latch))
		log_warn(d->cfg->image,
			 "if a sync fails, the mark of that cannot be written (%s): "
			 "flushes will fail only until the daemon is started again",
			 strerror(errno));
	if (!ret && sandboxed(d->cfg))
		ret = sandbox_enter();
	return ret;
}

/* Puts the parts together. The loop serves from then on. 0 or -errno. */
static int start_device(struct daemon *d, const struct sync_ops *ops, void *ctx)
{
	const struct pmem_cfg *cfg = d->cfg;
	int ret;

	flush_init(&d->flush, cfg->image, ops, ctx, &d->latch, cfg->max_flush_rate);
	pmem_init(&d->pmem, cfg->image, &d->img, &d->flush, &d->vhost.host);
	ret = vhost_init(&d->vhost, &d->loop, cfg->image, &pmem_device_ops, &d->pmem);
	if (ret)
		return ret;
	d->vhost.once = cfg->once;
	if (!cfg->memory_slots)
		d->vhost.withheld = (uint64_t)1 << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	if (d->control_fd >= 0) {
		ret = control_init(&d->control, &d->loop, d->control_fd, report, d);
		d->control_fd = -1;
	}
	if (ret)
		return ret;
	ret = d->listening ? vhost_listen(&d->vhost, d->socket_fd)
			   : vhost_attach(&d->vhost, d->socket_fd);
	d->socket_fd = -1;
	return ret;
}

/* Everything from an open image to a locked sandbox; then serves. 0, or -errno after a message. */
static int serve(struct daemon *d, const struct pmem_hooks *hooks)
{
	const struct pmem_cfg *cfg = d->cfg;
	void *ctx = &d->img;
	const struct sync_ops *ops = hooks ? hooks->opened(&d->img, &ctx) : &image_sync_ops;
	int ret = open_sockets(d);

	if (ret)
		return ret;
	ret = prepare_process(d);
	if (!ret)
		ret = start_device(d, ops, ctx);
	if (!ret && sandboxed(cfg))
		ret = sandbox_lock(latch_dirfd(&d->latch));
	if (!ret) {
		log_info(cfg->image, "serving %" PRIu64 " MiB (%s)%s%s", d->img.size >> 20,
			 d->img.kind, cfg->socket_path ? " on " : "",
			 cfg->socket_path ? cfg->socket_path : "");
		ret = loop_run(&d->loop);
	}
	if (ret)
		log_err(cfg->image, "cannot serve: %s", strerror(-ret));
	return ret;
}

static void clean_up(struct daemon *d)
{
	if (d->vhost.ops)
		vhost_fini(&d->vhost);
	control_fini(&d->control);
	flush_fini(&d->flush);
	fd_close(&d->signals.fd);
	fd_close(&d->control_fd);
	fd_close(&d->socket_fd);
	if (d->loop.epfd > 0)
		loop_fini(&d->loop);
	latch_close(&d->latch);
	image_close(&d->img);
}

static int usage_error(const char *what)
{
	fprintf(stderr, "vdax pmem: %s; see: vdax pmem --help\n", what);
	return EXIT_USAGE;
}

static int check_config(const struct pmem_cfg *cfg, int n_args)
{
	if (n_args != 1)
		return usage_error("give one image, after all options");
	if (cfg->socket_path && cfg->fd != FD_NOT_SET)
		return usage_error("give --socket-path or --fd, not both");
	if (!serves(cfg) && !cfg->create && !cfg->grow && !cfg->accept_lost_writes)
		return usage_error("give --socket-path or --fd");
	if (cfg->read_only && (cfg->create || cfg->grow || cfg->accept_lost_writes))
		return usage_error("--read-only does not go with changes of the image");
	if (cfg->sandbox && strcmp(cfg->sandbox, "full") != 0 && strcmp(cfg->sandbox, "none") != 0)
		return usage_error("--sandbox wants full or none");
	return EXIT_OK;
}

int pmem_main(int argc, char **argv, const struct pmem_hooks *hooks)
{
	struct pmem_cfg cfg = { .fd = FD_NOT_SET, .sandbox = "full" };
	static struct daemon d; /* static: it holds a queue thread's state for each queue */
	int i = options_parse(&pmem_command, argc, argv, &cfg);
	int ret;

	if (i <= 0)
		return i ? EXIT_USAGE : EXIT_OK;
	ret = check_config(&cfg, argc - i);
	if (ret)
		return ret;
	cfg.image = argv[i];
	if (cfg.quiet)
		log_set_level(LOG_LEVEL_WARN);
	if (cfg.debug)
		log_set_level(LOG_LEVEL_DEBUG);

	d = (struct daemon){
		.cfg = &cfg,
		.img = { .map_fd = -1, .sync_fd = -1 },
		.latch = { .fd = -1, .dirfd = -1 },
		.control.listen.fd = -1,
		.signals.fd = -1,
		.socket_fd = -1,
		.control_fd = -1,
	};
	ret = prepare_image(&cfg);
	if (!ret && (serves(&cfg) || cfg.accept_lost_writes))
		ret = open_image(&d);
	if (!ret && serves(&cfg))
		ret = serve(&d, hooks);
	clean_up(&d);
	if (latch_error(&d.latch))
		return EXIT_LOST_WRITES;
	return ret ? EXIT_FAILED : EXIT_OK;
}

int cmd_pmem(int argc, char **argv)
{
	return pmem_main(argc, argv, NULL);
}
