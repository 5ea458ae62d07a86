/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * FUSE requests of any bytes to a whole file system on a directory of its own. An input is a
 * struct input, then for each request a struct record and its body. Node ids and file handles are
 * what the requests before were answered, by number, or such with a bit flipped.
 *
 * After each sequence: what is beside the share is as it was; all requests are answered once; if
 * the requests were of a kind whose effect can be told, forgetting what the answers gave leaves the
 * root alone in the table; and after DESTROY no descriptor, inode, handle, waiter, mapping, or
 * reference to the guest's memory remains.
 *
 * Two of the configurations have a DAX window, with a front end that makes the mappings in this
 * process; the input says whether it answers, refuses, or the device stops meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fs/async.h"
#include "fs/byteorder.h"
#include "fs/cred.h"
#include "fs/dax_window.h"
#include "fs/req.h"
#include "host/log.h"
#include "tests/fuzz/fs_seeds.h"
#include "tests/fuzz/fs_share.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/fake_driver.h"
#include "tests/lib/fake_shm.h"
#include "virtio/fault.h"

#define QUEUES	   2u /* hiprio and one more */
#define RING	   128u
#define SLOTS	   8u
#define SLOT_DESCS 16u
#define READABLE   KIB(80)
#define WRITABLE   KIB(144)
#define DATA	   0x4000u
#define RAM_SIZE   (DATA + SLOTS * (READABLE + WRITABLE))
#define NOWHERE	   0x100000000u
#define FILE_LIMIT MIB(1)
#define KNOWN	   256u
#define CONFIGS	   3u

/* A body for a test of the share that goes on behind the input's bytes. */
static const uint32_t fills[] = { 1, 255, 256, 4095, 4096, 65536, 70000 };
/* Room for the answer, its header included. */
static const uint32_t rooms[] = { 16,  0,   8,	15,   24,   32,	  120,	 144,
				  160, 304, 80, 1000, 4096, 8192, 65552, 140000 };

struct known {
	uint64_t id, n; /* n: lookups; or of a handle, its node id */
};

struct world {
	struct fs_config cfg;
	struct fs_sandbox box;
	struct device_host host;
	struct fs fs;
	struct fake_shm shm;
	bool attend;
	unsigned woken; /* bits of queues */
	struct fake_driver driver[QUEUES];
	uint16_t seen[QUEUES];
	bool busy[QUEUES][SLOTS];
	bool swapped, exact;
	unsigned n_nodes, n_handles;
	struct known nodes[KNOWN], handles[KNOWN];
	uint64_t unique;
	int fds; /* open when nothing is */
};

static struct world worlds[CONFIGS];
static struct fs_share share;

/* --- set-up --- */

static void wake(void *ctx, unsigned queue)
{
	struct world *w = ctx;

	w->woken |= 1u << queue;
}

static void attend(void *ctx)
{
	struct world *w = ctx;

	w->attend = true;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static const struct fs_config configs[CONFIGS] = {
	{ .inode_file_handles = FS_HANDLES_PREFER,
	  .readdirplus = true,
	  .announce_submounts = true,
	  .dax_window = MIB(16),
	  .dax_copies = MIB(4),
	  .dax_maps = 8,
	  .dax_policy = { .any_fs = true } },
	{ .inode_file_handles = FS_HANDLES_NEVER, .cache = FS_CACHE_ALWAYS, .writeback = true },
	{ .inode_file_handles = FS_HANDLES_PREFER,
	  .readonly = true,
	  .dax_window = MIB(16),
	  .dax_copies = MIB(4),
	  .dax_maps = 8,
	  .cache = FS_CACHE_NEVER,
	  .allow_direct_io = true,
	  .no_opendir = true,
	  .xattrmap = ":map::user.virtiofs.:",
	  .translate_uid = { .n = 1, .v = { "map:0:1000:100" } } },
};

static void world_init(struct world *w, const struct fs_config *cfg)
{
	w->cfg = *cfg;
	w->cfg.shared_dir = share.path;
	w->cfg.xattr = w->cfg.posix_lock = w->cfg.flock = w->cfg.killpriv_v2 = true;
	w->cfg.posix_acl = w->cfg.security_label = FS_OFFER_AUTO;
	w->cfg.rlimit_nofile = 256;
	w->cfg.max_inode_fds = 100;
	w->cfg.num_queues = QUEUES - 1;
	w->cfg.engine = FS_ENGINE_POOL;
	w->cfg.pool_threads = 1;
	w->box = (struct fs_sandbox){ .root_fd = share.fd,
				      .proc_self_fd = share.proc_fd,
				      .mountinfo_fd = -1 };
	w->host = (struct device_host){
		.wake = wake, .attend = attend, .ctx = w, .shm = &fake_shm_ops, .shm_ctx = &w->shm
	};
	fake_shm_init(&w->shm, MAX(cfg->dax_window, KIB(4)));
	w->shm.takes_read_only = true;
	MUST(fs_init(&w->fs, "fuzz", &w->cfg, &w->box) == 0);
	fs_set_host(&w->fs, &w->host);
	for (unsigned q = 0; q < QUEUES; q++) {
		const struct vq_config ring = fake_config(RING, FAKE_EVENT_IDX);
		uint8_t *ram = calloc(1, RAM_SIZE);

		MUST(ram);
		fake_init(&w->driver[q], &ring, ram, mem_over(ram, RAM_SIZE));
	}
}

static void start_device(struct world *w, bool continued)
{
	w->shm.open = true;
	w->fs.ops.start(&w->fs, &(struct device_start){ .continued = continued, .can_map = true });
}

static void settle(struct world *w, int err);

static void start(struct world *w)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct fake_driver *d = &w->driver[q];

		memset(d->ram, 0, DATA);
		d->avail_idx = 0;
		MUST(vq_start(&d->vq, &d->cfg, d->mem) == 0);
		w->seen[q] = 0;
		memset(w->busy[q], 0, sizeof(w->busy[q]));
	}
	w->n_nodes = 1;
	w->nodes[0] = (struct known){ FUSE_ROOT_ID, 0 };
	w->n_handles = 0;
	w->exact = true;
	w->fds = count_fds();
	start_device(w, false);
	settle(w, 0);
}

/* --- what answers tell --- */

static void learn_node(struct world *w, uint64_t id)
{
	if (!id)
		return;
	for (unsigned i = 1; i < w->n_nodes; i++) {
		if (w->nodes[i].id == id) {
			w->nodes[i].n++;
			return;
		}
	}
	if (w->n_nodes < KNOWN)
		w->nodes[w->n_nodes++] = (struct known){ id, 1 };
	else
		w->exact = false;
}

static void learn_handle(struct world *w, uint64_t fh, uint64_t node)
{
	if (w->n_handles < KNOWN)
		w->handles[w->n_handles++] = (struct known){ fh, node };
	else
		w->exact = false;
}

static void learn_dirents(struct world *w, const uint8_t *p, uint32_t len)
{
	struct fuse_direntplus d;

	while (len) {
		uint64_t size;

		MUST(len >= sizeof(d));
		memcpy(&d, p, sizeof(d));
		if (w->swapped) {
			d.dirent.namelen = __builtin_bswap32(d.dirent.namelen);
			d.entry_out.nodeid = __builtin_bswap64(d.entry_out.nodeid);
		}
		size = FUSE_DIRENTPLUS_SIZE(d.dirent.namelen);
		MUST(d.dirent.namelen && d.dirent.namelen <= 255 && size <= len);
		MUST(!memchr(p + sizeof(d), '/', d.dirent.namelen));
		learn_node(w, d.entry_out.nodeid);
		p += size;
		len -= (uint32_t)size;
	}
}

/* The body of an answer without error, in our order but for READDIRPLUS. */
static void learn(struct world *w, const struct fuse_in_header *in, const uint8_t *body,
		  uint32_t len)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };

	memcpy(&out, body, MIN(len, sizeof(out)));
	switch (in->opcode) {
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		memcpy(&out.open, body, sizeof(out.open));
		learn_handle(w, out.open.fh, in->nodeid);
		break;
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		learn_handle(w, out.open.fh, out.entry.nodeid);
		learn_node(w, out.entry.nodeid);
		break;
	case FUSE_LOOKUP:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
		learn_node(w, out.entry.nodeid);
		break;
	case FUSE_READDIRPLUS:
		learn_dirents(w, body, len);
		break;
	case FUSE_DESTROY:
		w->n_nodes = 1;
		w->n_handles = 0;
		break;
	case FUSE_INIT:
		w->exact = false; /* of an older or a newer protocol, or a new session */
		break;
	}
}

/* --- a request --- */

struct sent {
	unsigned q, slot;
	struct fuse_in_header in; /* our order */
	uint32_t hint, room;
	bool silent, plain; /* plain: the answer is where it should be */
};

/* Takes what was answered from the used ring. */
static void collect(struct world *w, unsigned q)
{
	struct fake_driver *d = &w->driver[q];

	for (; w->seen[q] != fake_used_idx(d); w->seen[q]++) {
		uint32_t head = le32_get(fake_used(d, w->seen[q]).id);

		MUST(head % SLOT_DESCS == 0 && head < RING);
		MUST(w->busy[q][head / SLOT_DESCS]);
		w->busy[q][head / SLOT_DESCS] = false;
	}
}

static void serve(struct world *w, unsigned q, bool drain)
{
	struct fs_queue *queue = w->fs.queues[q];

	fs_serve(queue, &w->driver[q].vq);
	if (drain && async_pending(queue->async)) {
		async_drain(queue->async);
		fs_serve(queue, &w->driver[q].vq);
	}
	MUST(!w->driver[q].vq.broken);
	collect(w, q);
}

/* --- the window --- */

/* The control thread, and queues that it has woken. */
static void run_control(struct world *w)
{
	while (w->attend || w->woken) {
		unsigned woken = w->woken;

		if (w->attend && w->fs.dax) {
			w->attend = false;
			w->fs.ops.attend(&w->fs);
		}
		w->attend = false;
		w->woken &= ~woken;
		for (unsigned q = 0; q < QUEUES; q++)
			if (woken & 1u << q)
				serve(w, q, true);
	}
}

/* The front end answers everything, with err: 0, or it refuses. */
static void settle(struct world *w, int err)
{
	run_control(w);
	while (w->shm.first) {
		fake_shm_answer(&w->shm, err);
		run_control(w);
	}
}

static void stop_and_go_on(struct world *w, enum fake_shm_fate fate)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		struct fake_driver *d = &w->driver[q];

		d->vq.stopping = true;
		serve(w, q, true);
	}
	fake_shm_cancel(&w->shm, fate);
	w->fs.ops.stop(&w->fs);
	start_device(w, true);
	for (unsigned q = 0; q < QUEUES; q++) {
		struct fake_driver *d = &w->driver[q];
		struct vq_config cfg = d->cfg;

		cfg.base = vq_stop(&d->vq);
		MUST(vq_start(&d->vq, &cfg, d->mem) == 0);
		serve(w, q, true);
	}
}

static void front_end(struct world *w, const struct record *r)
{
	enum fake_shm_fate fate = r->cut % 3 == 0   ? FAKE_SHM_LOST
				  : r->cut % 3 == 1 ? FAKE_SHM_DONE
						    : FAKE_SHM_LATE;

	switch (r->room & ROOM_FRONT) {
	case ROOM_REFUSES:
		settle(w, -EIO);
		break;
	case ROOM_WAITS:
		run_control(w);
		break;
	case ROOM_STOPS:
		run_control(w);
		stop_and_go_on(w, fate);
		break;
	default:
		settle(w, 0);
	}
}

/* Nothing is mapped any more, and nothing is kept for it. */
static void check_no_window(const struct world *w)
{
	struct dax *d = w->fs.dax;

	if (!d)
		return;
	for (size_t i = 0; i < d->map.n; i++)
		MUST(d->map.v[i]->state == PIECE_UNSURE && !d->map.v[i]->owned);
	dax_drop(d, true);
	MUST(!d->dead_pieces && !d->dead_files && !d->n_written && !d->todo.first && !d->busy);
	MUST(!d->map.n && !d->map.owned && !d->n_files && !d->copied);
}

/* --- what a request says --- */

static uint64_t pick(const struct known *k, unsigned n, uint8_t choice)
{
	if (choice < 128)
		return n ? k[choice % n].id : choice;
	return (n ? k[choice % n].id : FUSE_ROOT_ID) ^ (uint64_t)1 << (choice & 63);
}

/* Where in its body a request has a file handle. */
static size_t handle_at(uint32_t opcode)
{
	return opcode == FUSE_GETATTR || opcode == FUSE_SETATTR || opcode == FUSE_STATX ? 8 : 0;
}

static void put64(uint8_t *body, size_t len, size_t at, uint64_t v)
{
	if (at + sizeof(v) <= len)
		memcpy(body + at, &v, sizeof(v));
}

/* Ids that only the answers tell, in our order. */
static void put_ids(struct world *w, const struct record *r, struct fuse_in_header *in,
		    uint8_t *body, size_t len)
{
	const struct known *h = w->n_handles && r->handle
					? &w->handles[(r->handle - 1u) % w->n_handles]
					: NULL;

	in->nodeid = r->node == NODE_OF_HANDLE && h ? h->n : pick(w->nodes, w->n_nodes, r->node);
	if (!r->handle)
		return;
	if (in->opcode == FUSE_RENAME || in->opcode == FUSE_RENAME2 || in->opcode == FUSE_LINK)
		put64(body, len, 0, pick(w->nodes, w->n_nodes, (uint8_t)(r->handle - 1)));
	else
		put64(body, len, handle_at(in->opcode),
		      pick(w->handles, w->n_handles, (uint8_t)(r->handle - 1)));
	if (h && (in->opcode == FUSE_COPY_FILE_RANGE || in->opcode == FUSE_COPY_FILE_RANGE_64)) {
		h = &w->handles[r->handle % w->n_handles];
		put64(body, len, 16, h->n);
		put64(body, len, 24, h->id);
	}
}

/* Descriptors of a slot, from the first on: of len bytes at addr, in pieces. */
static unsigned describe(struct fake_driver *d, unsigned at, uint64_t addr, uint32_t len,
			 uint32_t piece, unsigned max, uint16_t flags)
{
	unsigned n = 0;

	for (; len && n < max; n++) {
		uint32_t part = n + 1 < max && piece && piece < len ? piece : len;

		fake_desc(&d->desc[at + n], addr, part, flags | VRING_DESC_F_NEXT,
			  (uint16_t)(at + n + 1));
		addr += part;
		len -= part;
		piece = flags ? piece : 0;
	}
	return n;
}

/* The chain of a request that is in the memory of its slot. */
static bool offer(struct world *w, const struct record *r, struct sent *s, uint32_t readable)
{
	struct fake_driver *d = &w->driver[s->q];
	uint64_t addr = DATA + s->slot * (uint64_t)(READABLE + WRITABLE);
	uint64_t reply = r->how & HOW_OVERLAP ? addr : addr + READABLE;
	unsigned at = s->slot * SLOT_DESCS, n, m;

	n = describe(d, at, addr, readable, r->cut, 2, 0);
	m = describe(d, at + n, reply, s->room, r->how & HOW_PIECES ? 24 : 0, SLOT_DESCS - 3,
		     VRING_DESC_F_WRITE);
	if (!(n + m))
		return false;
	d->desc[at + n + m - 1].flags = le16_of(m ? VRING_DESC_F_WRITE : 0);
	if (r->how & HOW_HOLE)
		d->desc[at + (n + m) / 2].addr = le64_of(NOWHERE);
	w->busy[s->q][s->slot] = true;
	fake_offer(d, (uint16_t)at);
	return true;
}

static uint8_t *memory(struct world *w, const struct sent *s)
{
	return w->driver[s->q].ram + DATA + s->slot * (size_t)(READABLE + WRITABLE);
}

/* Writes header and body into the slot; returns the readable bytes. */
static uint32_t compose(struct world *w, const struct record *r, const uint8_t *bytes,
			struct sent *s)
{
	uint32_t len = le16_get(r->len);
	uint8_t *mem = memory(w, s), *body = mem + sizeof(s->in);
	struct fuse_in_header raw;

	memcpy(body, bytes, len);
	if (r->how & HOW_LONG) {
		uint32_t more = fills[r->cut % ARRAY_SIZE(fills)];

		memset(body + len, 'a', more);
		len += more;
	}
	s->in = (struct fuse_in_header){ .opcode = r->opcode,
					 .unique = ++w->unique,
					 .uid = r->cut & 1 ? 1000 : 0,
					 .gid = r->cut & 1 ? 1000 : 0,
					 .total_extlen = r->how & HOW_EXT ? r->cut : 0 };
	s->in.len = (uint32_t)sizeof(s->in) + len;
	put_ids(w, r, &s->in, body, len);
	if (r->how & HOW_LEN)
		s->in.len = r->cut * 3u;
	s->hint = fs_swap_hint(r->opcode, body, len);
	raw = s->in;
	if (w->swapped) {
		fs_swap_in_header(&raw);
		(void)fs_swap_request(r->opcode, body, len, s->in.total_extlen,
				      w->fs.session.features);
	}
	memcpy(mem, &raw, sizeof(raw));
	return r->how & HOW_SHORT ? MIN(r->cut, (uint32_t)sizeof(raw) + len)
				  : (uint32_t)sizeof(raw) + len;
}

/* FORGET of somebody who says what he means. */
static void model_forget(struct world *w, const struct record *r, const uint8_t *body,
			 const struct sent *s)
{
	uint64_t n;

	if (s->in.opcode == FUSE_BATCH_FORGET || r->how & ~HOW_PIECES || le16_get(r->len) < 8) {
		w->exact = false;
		return;
	}
	memcpy(&n, body, sizeof(n));
	for (unsigned i = 1; i < w->n_nodes; i++)
		if (w->nodes[i].id == s->in.nodeid)
			w->nodes[i].n -= MIN(n, w->nodes[i].n);
}

static void look_at_answer(struct world *w, const struct sent *s, uint32_t written)
{
	uint8_t *reply = memory(w, s) + READABLE;
	struct fuse_out_header h;

	MUST(written <= s->room);
	if (written < sizeof(h)) {
		w->exact = false;
		return;
	}
	if (!s->plain)
		return;
	memcpy(&h, reply, sizeof(h));
	if (w->swapped)
		fs_swap_out_header(&h);
	MUST(h.unique == s->in.unique && h.len == written);
	MUST(h.error <= 0 && h.error > -512);
	MUST(!h.error || h.len == sizeof(h));
	if (h.error)
		return;
	/* How long a record of a directory is, the swapping knows in our order only. */
	if (w->swapped && s->in.opcode != FUSE_READDIRPLUS)
		fs_swap_reply(s->in.opcode, reply + sizeof(h), written - (uint32_t)sizeof(h),
			      s->hint);
	learn(w, &s->in, reply + sizeof(h), written - (uint32_t)sizeof(h));
}

/* False if there is no room in the ring: too many wait for locks. */
static bool request(struct world *w, const struct record *r, const uint8_t *body)
{
	struct sent s = { .q = r->how & HOW_HIPRIO ? 0 : 1,
			  .room = rooms[r->room % ARRAY_SIZE(rooms)] };
	struct fake_driver *d = &w->driver[s.q];
	uint16_t before;

	while (w->busy[s.q][s.slot])
		if (++s.slot == SLOTS)
			return false;
	s.plain = !(r->how & (HOW_HOLE | HOW_OVERLAP | HOW_LEN | HOW_SHORT | HOW_EXT));
	/* Before INIT the order is ours, and an INIT must have a version to tell its own. */
	s.plain = s.plain && (w->fs.session.swapped == w->swapped ||
			      (r->opcode == FUSE_INIT && le16_get(r->len) >= 8));
	w->exact = w->exact && s.plain;
	s.silent = r->opcode == FUSE_FORGET || r->opcode == FUSE_BATCH_FORGET ||
		   r->opcode == FUSE_INTERRUPT;
	before = w->seen[s.q];
	if (!offer(w, r, &s, compose(w, r, body, &s)))
		return true;
	if (r->opcode == FUSE_FORGET || r->opcode == FUSE_BATCH_FORGET)
		model_forget(w, r, memory(w, &s) + sizeof(s.in), &s);
	serve(w, s.q, true);
	front_end(w, r);
	if (w->busy[s.q][s.slot] || w->seen[s.q] != (uint16_t)(before + 1)) {
		w->exact = false; /* waits for a lock, or ended one that did */
		return true;
	}
	if (!s.silent)
		look_at_answer(w, &s, le32_get(fake_used(d, before).len));
	return true;
}

/* --- the end --- */

static void send(struct world *w, uint32_t opcode, uint8_t node, uint8_t handle, const void *body,
		 uint16_t len)
{
	const struct record r = { .opcode = (uint8_t)opcode,
				  .node = node,
				  .handle = handle,
				  .room = 12,
				  .len = le16_of(len) };

	MUST(request(w, &r, body));
}

/* Everything that the guest was told of is given back: then there must be nothing. */
static void give_back(struct world *w)
{
	static const struct fuse_release_in release;
	unsigned nodes = w->n_nodes;

	for (unsigned i = 0; i < w->n_handles; i++) {
		struct inode *inode = inode_get(&w->fs, w->handles[i].n);

		send(w, inode && S_ISDIR(inode->type) ? FUSE_RELEASEDIR : FUSE_RELEASE,
		     NODE_OF_HANDLE, (uint8_t)(i + 1), &release, sizeof(release));
		if (inode)
			inode_put(&w->fs, inode);
	}
	for (unsigned i = 1; i < nodes; i++) {
		const struct fuse_forget_in in = { .nlookup = w->nodes[i].n };

		if (in.nlookup)
			send(w, FUSE_FORGET, (uint8_t)i, 0, &in, sizeof(in));
	}
	MUST(w->fs.handles.count == 0);
	MUST(w->fs.inodes.count == 1);
}

static void finish(struct world *w)
{
	/* One byte says which; those above 127 are forged. */
	if (w->exact && w->n_nodes < 128 && w->n_handles < 127)
		give_back(w);
	w->fs.session.ready = false;
	fs_forget_all(&w->fs); /* DESTROY; here there may be no room in the ring */
	settle(w, 0);
	for (unsigned q = 0; q < QUEUES; q++) {
		serve(w, q, true);
		for (unsigned i = 0; i < SLOTS; i++)
			MUST(!w->busy[q][i]);
		MUST(w->driver[q].vq.inflight == 0);
		vq_stop(&w->driver[q].vq);
		MUST(w->driver[q].mem->refs == 1);
		cred_self(w->fs.queues[q]);
	}
	fake_shm_cancel(&w->shm, FAKE_SHM_LOST);
	w->fs.ops.stop(&w->fs);
	w->fs.ops.reset(&w->fs);
	fake_shm_forget(&w->shm);
	check_no_window(w);
	MUST(w->fs.inodes.count == 1 && w->fs.handles.count == 0);
	MUST(w->fs.locks.n_waiters == 0);
	MUST(count_fds() == w->fds);
}

/* So that the sanitizer finds what is lost. */
static void worlds_fini(void)
{
	for (unsigned i = 0; i < CONFIGS; i++) {
		fs_fini(&worlds[i].fs);
		fake_shm_fini(&worlds[i].shm);
		for (unsigned q = 0; q < QUEUES; q++) {
			free(worlds[i].driver[q].ram);
			fake_fini(&worlds[i].driver[q]);
		}
	}
}

static void one_time(void)
{
	const struct rlimit limit = { FILE_LIMIT, RLIM_INFINITY };

	MUST(fault_init() == 0);
	log_set_level(LOG_LEVEL_ERR);
	signal(SIGXFSZ, SIG_IGN);
	share_make(&share);
	MUST(fchdir(share.proc_fd) == 0);
	for (unsigned i = 0; i < CONFIGS; i++)
		world_init(&worlds[i], &configs[i]);
	/* What a request may fill, as the share may be memory. */
	MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	atexit(worlds_fini);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct record r;
	struct input in;
	struct world *w;
	bool room = true;

	if (size < sizeof(in))
		return 0;
	if (!ready)
		one_time();
	ready = true;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	share_fill(&share);
	w = &worlds[(in.what >> WHAT_CONFIG) % CONFIGS];
	w->swapped = in.what & WHAT_SWAPPED;
	start(w);
	if (!(in.what & WHAT_NO_INIT)) {
		send(w, FUSE_INIT, 0, 0, &seed_init, sizeof(seed_init));
		w->exact = true;
	}
	while (room && size >= sizeof(r)) {
		memcpy(&r, data, sizeof(r));
		data += sizeof(r);
		size -= sizeof(r);
		r.len = le16_of((uint16_t)MIN(le16_get(r.len), size));
		room = request(w, &r, data);
		data += le16_get(r.len);
		size -= le16_get(r.len);
	}
	finish(w);
	share_check(&share);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	return seed_make(i, buf, cap);
}
