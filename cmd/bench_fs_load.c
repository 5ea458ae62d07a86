/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver's thread sleeps until its queue is called, as a guest's CPU does, ends what was
 * answered, and sends what follows from that with one notification at most. It never spins.
 */
#include "cmd/bench_fs_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "cmd/bench_fs_verbs.h"
#include "host/fd.h"

#define WAIT_MS	      20000 /* nothing at all for so long is a failure */
#define FORGET_BATCH  VDAX_FS_LIST_MAX
#define SETTLE_MAX_MS 5000
#define SETTLE_US     2000 /* for what the daemon does after its last answer */

void bench_forget(struct bench_driver *d, uint64_t node, uint64_t n)
{
	if (d->n_forget < BENCH_FORGETS)
		d->forget[d->n_forget++] = (struct fuse_forget_one){ node, n };
}

static struct vdax_fs_rq *free_forget_rq(struct bench_session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->forget_rq); i++) {
		if (!s->forget_rq[i].slot)
			return &s->forget_rq[i];
	}
	return NULL;
}

/* Send what has come together, as far as the queue takes it; all of it if all is set. */
static void send_forgets(struct bench_driver *d, bool all)
{
	struct bench_session *s = d->s;
	struct vdax_fs_queue *q = &s->g->q[VDAX_FS_HIPRIO];

	pthread_mutex_lock(&s->hiprio);
	vdax_fs_poll(q);
	while (d->n_forget >= (all ? 1u : FORGET_BATCH)) {
		unsigned n = MIN(d->n_forget, FORGET_BATCH);
		struct vdax_fs_rq *rq = free_forget_rq(s);

		if (!rq || vdax_fs_batch_forget(q, rq, &d->forget[d->n_forget - n], n))
			break;
		d->n_forget -= n;
	}
	vdax_fs_submit(q);
	pthread_mutex_unlock(&s->hiprio);
}

/* In a driver's thread, between its answers. */
static void care_for_forgets(struct bench_driver *d)
{
	if (d->n_forget >= FORGET_BATCH)
		send_forgets(d, false);
	while (d->n_forget > BENCH_FORGETS / 2 && !d->s->g->q[VDAX_FS_HIPRIO].failed) {
		usleep(100);
		send_forgets(d, false);
	}
}

static void fail(struct bench_driver *d, int error)
{
	d->error = d->error ? d->error : error;
	d->until = 0;
	d->busy--;
}

static bool may_begin(const struct bench_driver *d, uint64_t now)
{
	return now < d->until && (!d->limit || d->begun < d->limit);
}

/* Send the next request of the operation, and begin the next operation at its end. */
static void advance(struct bench_job *j)
{
	struct bench_driver *d = j->d;

	for (;;) {
		const struct bench_verb *v = NULL;
		int ret;

		if (j->verb < BENCH_VERBS_MAX)
			v = d->w->verb[j->verb];
		if (!v) {
			uint64_t now = clock_ns();

			latency_add(&d->latency, now - j->began);
			if (!may_begin(d, now)) {
				d->busy--;
				return;
			}
			j->began = now;
			j->verb = 0;
			d->begun++;
			continue;
		}
		ret = v->send(j);
		if (ret < 0)
			fail(d, ret);
		if (ret <= 0)
			return;
		j->verb++;
	}
}

static void job_done(struct vdax_fs_rq *rq, int ret)
{
	struct bench_job *j = container_of(rq, struct bench_job, rq);
	const struct bench_verb *v = j->d->w->verb[j->verb];

	if (v->took)
		ret = v->took(j, ret);
	else
		ret = MIN(ret, 0);
	if (ret < 0) {
		fail(j->d, ret);
		return;
	}
	j->verb += ret == 0;
	advance(j);
}

static void begin_all(struct bench_driver *d)
{
	for (unsigned i = 0; i < d->depth && may_begin(d, clock_ns()); i++) {
		d->busy++;
		d->begun++;
		d->job[i].verb = 0;
		d->job[i].began = clock_ns();
		advance(&d->job[i]);
	}
	vdax_fs_submit(d->q);
}

static void *drive(void *arg)
{
	struct bench_driver *d = arg;
	int ret;

	begin_all(d);
	while (d->busy) {
		ret = front_waiter_wait(&d->waiter, WAIT_MS);
		if (ret == 0)
			ret = -ETIMEDOUT;
		if (ret < 0)
			vdax_fs_fail(d->q, ret);
		else
			vdax_fs_poll(d->q);
		care_for_forgets(d);
	}
	d->ended = clock_ns();
	return NULL;
}

static void prepare(struct bench_driver *d, const struct bench_workload *w, unsigned queues,
		    unsigned depth, uint64_t until)
{
	d->w = w;
	d->depth = depth;
	d->until = until;
	d->begun = d->busy = 0;
	d->error = 0;
	d->limit = 0;
	memset(&d->latency, 0, sizeof(d->latency));
	if (w->role == BENCH_MAKES) {
		d->limit = BENCH_CREATED / queues;
		d->n_created = d->n_removed = 0;
	} else if (w->role == BENCH_REMOVES) {
		d->limit = d->n_created;
		d->until = d->limit ? UINT64_MAX : 0;
	}
}

static void add_latency(struct latency *to, const struct latency *from)
{
	to->n += from->n;
	to->max = MAX(to->max, from->max);
	for (size_t i = 0; i < ARRAY_SIZE(to->bucket); i++)
		to->bucket[i] += from->bucket[i];
}

/* All forgets of the drivers are sent and taken, unless the daemon is gone. */
static void settle(struct bench_session *s, unsigned queues)
{
	struct vdax_fs_queue *hiprio = &s->g->q[VDAX_FS_HIPRIO];
	uint64_t deadline = clock_ns() + (uint64_t)SETTLE_MAX_MS * 1000000;
	bool waiting = true;

	for (unsigned i = 0; i < queues; i++) {
		if (s->driver[i]->q->failed)
			vdax_fs_fail(hiprio, s->driver[i]->q->failed);
	}
	while (waiting && !hiprio->failed) {
		waiting = hiprio->busy;
		for (unsigned i = 0; i < queues; i++) {
			send_forgets(s->driver[i], true);
			waiting = waiting || s->driver[i]->n_forget;
		}
		if (waiting && clock_ns() > deadline)
			vdax_fs_fail(hiprio, -ETIMEDOUT);
		if (waiting)
			usleep(200);
	}
	usleep(SETTLE_US);
}

/* Run w once; r may be NULL. Returns 0 or the first error. */
static int run_once(struct bench_session *s, const struct bench_workload *w, unsigned queues,
		    unsigned depth, uint64_t ns, struct bench_slice *r)
{
	uint64_t began = clock_ns(), ended = began;
	unsigned started = 0;
	int error = 0;

	for (unsigned i = 0; i < queues; i++)
		prepare(s->driver[i], w, queues, depth, began + ns);
	for (; started < queues && !error; started++)
		error = -pthread_create(&s->driver[started]->thread, NULL, drive,
					s->driver[started]);
	for (unsigned i = 0; i < started; i++) {
		struct bench_driver *d = s->driver[i];

		pthread_join(d->thread, NULL);
		error = error ? error : d->error;
		ended = MAX(ended, d->ended);
		if (r)
			add_latency(&r->latency, &d->latency);
	}
	settle(s, queues);
	if (r)
		r->seconds += (double)(ended - began) / NS_PER_S;
	return error;
}

/* Kicks and calls of the queues used, so far. */
static void count(struct bench_session *s, unsigned queues, uint64_t *kicks, uint64_t *calls)
{
	*kicks = *calls = 0;
	for (unsigned i = 1; i <= queues; i++) {
		front_count_calls(s->g->f, i);
		*kicks += s->g->f->q[i].kicks;
		*calls += s->g->f->q[i].calls;
	}
}

int bench_session_run(struct bench_session *s, const struct bench_workload *w, unsigned queues,
		      unsigned depth, uint64_t ns, struct bench_slice *r, void (*begin)(void *),
		      void (*end)(void *), void *ctx)
{
	uint64_t kicks[2], calls[2];
	int ret = 0;

	queues = MIN(queues, s->n);
	if (w->before)
		ret = run_once(s, w->before, queues, depth, ns, NULL);
	if (!ret) {
		count(s, queues, &kicks[0], &calls[0]);
		begin(ctx);
		ret = run_once(s, w, queues, depth, ns, r);
		end(ctx);
		count(s, queues, &kicks[1], &calls[1]);
		r->kicks += kicks[1] - kicks[0];
		r->calls += calls[1] - calls[0];
	}
	if (!ret && w->after)
		ret = run_once(s, w->after, queues, depth, ns, NULL);
	r->ops = r->latency.n;
	r->error = ret;
	return ret;
}

/* --- The session --- */

static void forget_done(struct vdax_fs_rq *rq, int ret)
{
	(void)rq;
	(void)ret;
}

void bench_driver_init_jobs(struct bench_driver *d, uint8_t *mem)
{
	for (unsigned i = 0; i < BENCH_DEPTH_MAX; i++) {
		struct bench_job *j = &d->job[i];

		*j = (struct bench_job){ .rq = { .done = job_done,
						 .uid = (uint32_t)getuid(),
						 .gid = (uint32_t)getgid(),
						 .pid = (uint32_t)getpid() },
					 .d = d,
					 .index = i,
					 .buf = mem + (size_t)i * d->s->chunk };
		j->seg = front_fs_seg(d->s->g, j->buf, d->s->chunk);
		j->data = (struct vdax_fs_data){ &j->seg, 1 };
	}
	for (size_t i = 0; i < ARRAY_SIZE(d->s->forget_rq); i++)
		d->s->forget_rq[i].done = forget_done;
}
