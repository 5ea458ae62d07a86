/* SPDX-License-Identifier: BSD-2-Clause */
#include "front/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/macros.h"
#include "front/guest.h"
#include "front/queue.h"
#include "front/ram.h"
#include "host/fd.h"

#define DEFAULT_QUEUE_SIZE 128u
#define DEFAULT_SEGS	   4u
#define MAX_READAHEAD	   (128u << 10) /* as Linux asks for */

static int make_queue(struct front_fs *g, unsigned int i, const struct front_fs_opts *opts)
{
	const unsigned int size = opts->queue_size, segs = opts->segs;
	struct front_fs_memory *m = &g->mem[i];
	struct vdax_fs_queue_opts qo = { .platform = &g->platform,
					 .fs = &g->fs,
					 .features = g->f->features,
					 .index = i,
					 .size = size,
					 .segs = segs };
	const struct vdax_ring *r = &g->q[i].ring;
	int ret;

	m->shared = front_ram_alloc(g->f, VDAX_FS_SHARED_BYTES(size, segs), VDAX_RING_ALIGN);
	m->ring_slots = calloc(size, sizeof(*m->ring_slots));
	m->slots = calloc(size, sizeof(*m->slots));
	m->scratch = calloc(segs + 2, sizeof(*m->scratch));
	if (!m->shared || !m->ring_slots || !m->slots || !m->scratch)
		return -ENOMEM;
	qo.shared = m->shared;
	qo.ring_slots = m->ring_slots;
	qo.slots = m->slots;
	qo.scratch = m->scratch;
	ret = vdax_fs_queue_init(&g->q[i], &qo);
	if (!ret)
		front_queue_set(g->f, i, size, r->desc, r->avail, r->used);
	return ret;
}

static int read_config(struct front_fs *g)
{
	struct vdax_fs_config config;
	int ret;

	if (!front_has(g->f, VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	ret = vdax_fs_read_config(&g->platform, &config);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < sizeof(g->tag); i++)
		g->tag[i] = config.tag[i];
	g->num_queues = MIN(g->num_queues, config.request_queues + 1);
	return 0;
}

static int start(struct front_fs *g, const struct front_fs_opts *opts)
{
	struct front_fs_call c;
	int ret;

	g->f->features = vdax_fs_features(g->f->features);
	if (!g->f->features)
		return -EPROTO;
	g->platform = front_platform(g->f);
	g->num_queues = g->f->num_queues;
	ret = read_config(g);
	for (unsigned int i = 0; !ret && i < g->num_queues; i++)
		ret = make_queue(g, i, opts);
	if (!ret)
		ret = front_start(g->f);
	if (ret)
		return ret;
	front_fs_call_init(&c);
	return front_fs_wait(g, &c, vdax_fs_init(&g->q[1], &c.rq, opts->flags, MAX_READAHEAD));
}

int front_fs_open(struct front_fs **out, const struct front_fs_opts *opts)
{
	struct front_fs *g = calloc(1, sizeof(*g));
	struct front_fs_opts o = *opts;
	int ret;

	*out = NULL;
	if (!g) {
		fd_close(&o.front.fd);
		return -ENOMEM;
	}
	o.queue_size = o.queue_size ? o.queue_size : DEFAULT_QUEUE_SIZE;
	o.segs = o.segs ? o.segs : DEFAULT_SEGS;
	o.front.num_queues = 1 + (o.request_queues ? o.request_queues : 1);
	o.front.fewer_queues = true;
	ret = front_open(&g->f, &o.front);
	if (!ret && g->f->num_queues < 2)
		ret = -ENODEV;
	if (!ret)
		ret = start(g, &o);
	if (ret) {
		front_fs_close(g);
		return ret;
	}
	*out = g;
	return 0;
}

void front_fs_close(struct front_fs *g)
{
	if (!g)
		return;
	front_close(g->f);
	for (unsigned int i = 0; i < FRONT_MAX_QUEUES; i++) {
		free(g->mem[i].ring_slots);
		free(g->mem[i].slots);
		free(g->mem[i].scratch);
	}
	free(g);
}

static void call_done(struct vdax_fs_rq *rq, int ret)
{
	container_of(rq, struct front_fs_call, rq)->ret = ret;
}

void front_fs_call_init(struct front_fs_call *c)
{
	*c = (struct front_fs_call){ .rq = { .done = call_done,
					     .uid = (uint32_t)getuid(),
					     .gid = (uint32_t)getgid(),
					     .pid = (uint32_t)getpid() } };
}

int front_fs_poll(struct front_fs *g, int timeout_ms)
{
	int n = 0, ret;

	for (unsigned int i = 0; i < g->num_queues; i++)
		vdax_fs_submit(&g->q[i]);
	ret = front_poll(g->f, timeout_ms);
	for (unsigned int i = 0; i < g->num_queues; i++) {
		int ended;

		if (ret < 0 || g->f->q[i].errs)
			vdax_fs_config_changed(&g->q[i]);
		ended = vdax_fs_poll(&g->q[i]);
		n += ended > 0 ? ended : 0;
	}
	return ret < 0 ? ret : n;
}

int front_fs_wait(struct front_fs *g, struct front_fs_call *c, int sent)
{
	uint64_t deadline = clock_ns() + (uint64_t)g->f->opts.timeout_ms * 1000000;
	int ret;

	if (sent)
		return sent;
	while (c->rq.slot) {
		uint64_t now = clock_ns();

		ret = front_fs_poll(g, now < deadline ? (int)((deadline - now) / 1000000 + 1) : 0);
		if (ret < 0)
			return ret;
		if (c->rq.slot && clock_ns() >= deadline)
			return -ETIMEDOUT;
	}
	return c->ret;
}

struct vdax_seg front_fs_seg(const struct front_fs *g, const void *ptr, uint32_t len)
{
	return (struct vdax_seg){ front_ram_gpa(g->f, ptr, len), len };
}
