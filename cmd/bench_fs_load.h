/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work that `vdax bench fs` gives to a daemon, through front/ and guest/: a session is the
 * connection to one daemon; it has a driver for each request queue, which runs in a thread
 * while a slice of time is measured; a driver has as many jobs as the queue shall be deep.
 *
 * Each driver works in a directory of its own, q0, q1, ...:
 *
 *	f0 ...	a file of 4 KiB for each job, known to the client
 *	x0 ...	files that are looked up anew each time
 *	list/	100 files, for readdir
 *	big	one large file, open
 *	c0 ...	what create made and unlink removes
 */
#ifndef CMD_BENCH_FS_LOAD_H
#define CMD_BENCH_FS_LOAD_H

#include <pthread.h>
#include <stdint.h>

#include "cmd/latency.h"
#include "front/fs.h"
#include "front/waiter.h"

#define BENCH_DEPTH_MAX	 64u
#define BENCH_QUEUES_MAX 4u
#define BENCH_FORGETS	 8192u /* that wait */
#define BENCH_CREATED	 8000u /* files of all drivers: what every daemon can keep open */

struct bench_driver;
struct bench_workload;

/* One operation after another. */
struct bench_job {
	struct vdax_fs_rq rq;
	struct bench_driver *d;
	unsigned index; /* in the driver */
	unsigned verb;	/* of the workload, now under way */
	uint64_t began; /* ns */
	uint64_t node, fh, off;
	char name[16];
	bool flipped;  /* rename: the file has its other name */
	uint64_t file; /* node of f<index> */
	uint8_t *buf;  /* in guest RAM */
	struct vdax_seg seg;
	struct vdax_fs_data data;
};

struct bench_driver {
	struct bench_session *s;
	unsigned index;
	struct vdax_fs_queue *q;
	struct front_waiter waiter;
	pthread_t thread;
	uint64_t dir, list, big, big_fh, direct_fh; /* nodes, and handles */
	uint64_t *created;			    /* nodes of c0 ... */
	unsigned n_created, n_removed;
	unsigned next_cold;
	uint64_t random;
	struct bench_job job[BENCH_DEPTH_MAX];
	struct fuse_forget_one forget[BENCH_FORGETS];
	unsigned n_forget;
	bool no_open, no_flush; /* ENOSYS: a client does not ask again */

	/* Of the slice. */
	const struct bench_workload *w;
	unsigned depth, limit; /* operations; 0: no limit */
	uint64_t until;	       /* ns */
	unsigned begun, busy;
	uint64_t ended; /* ns */
	struct latency latency;
	int error;
};

struct bench_session {
	struct front_fs *g;
	uint32_t chunk; /* bytes of a sequential read or write */
	unsigned n;	/* drivers */
	struct bench_driver *driver[BENCH_QUEUES_MAX];

	pthread_mutex_t hiprio; /* its queue, and these */
	struct vdax_fs_rq forget_rq[16];
};

/* One row of the results. */
struct bench_slice {
	uint64_t ops;
	double seconds;
	struct latency latency;
	uint64_t calls, kicks; /* of the queues used */
	int error;
};

/*
 * Make the files below dir, connect (takes sock in every case), look everything up. queues: at
 * most; s->n says how many the daemon has. 0 or -errno after a message. Close it in every case.
 */
int bench_session_open(struct bench_session *s, int sock, const char *dir, unsigned queues);
void bench_session_close(struct bench_session *s);

/* By name; NULL if there is none. */
const struct bench_workload *bench_workload_find(const char *name);

/* The i-th, in the order of a table; NULL behind the last. */
const struct bench_workload *bench_workload_at(unsigned i);
const char *bench_workload_name(const struct bench_workload *w);

/* Workloads that would not gain from depth: one request moves much. */
bool bench_workload_is_large(const struct bench_workload *w);

/*
 * One slice with so many queues (at most s->n) and jobs for each; adds to r. begin and end are
 * called when the work begins and has ended, for what else is measured. 0 or -errno.
 */
int bench_session_run(struct bench_session *s, const struct bench_workload *w, unsigned queues,
		      unsigned depth, uint64_t ns, struct bench_slice *r, void (*begin)(void *),
		      void (*end)(void *), void *ctx);

#endif
