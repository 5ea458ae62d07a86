/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `vdax bench pmem --bare` compares with: a sync of the same file, without vdax, by the
 * caller itself or by another thread. The latter is what any back end costs that is not the
 * guest's own thread: two wake-ups by eventfd and nothing else.
 */
#ifndef CMD_BENCH_BARE_H
#define CMD_BENCH_BARE_H

#include <pthread.h>
#include <stdbool.h>

struct bare {
	int fd;	      /* of the file; borrowed */
	int go, done; /* eventfds; -1 when there are none */
	bool running;
	_Atomic bool quit;
	_Atomic int result;
	pthread_t thread;
};

/* 0 or -errno; call bare_fini() in both cases. */
int bare_init(struct bare *b, int fd);
void bare_fini(struct bare *b);

/* The caller syncs. 0 or -errno. */
int bare_sync(struct bare *b);

/* The other thread syncs, and the caller sleeps meanwhile. 0 or -errno. */
int bare_sync_handed(struct bare *b);

#endif
