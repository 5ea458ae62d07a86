/* SPDX-License-Identifier: BSD-2-Clause */
/* A front end with a virtio-pmem driver in its guest, connected to a daemon process. */
#ifndef TESTS_PROTO_GUEST_H
#define TESTS_PROTO_GUEST_H

#include "front/guest.h"
#include "tests/lib/daemon.h"

struct guest {
	struct front *f;
	struct front_pmem g;
};

/* A flush that notes its end. */
struct noted {
	struct vdax_flush flush;
	bool done;
	int ret;
};

struct guest_opts {
	uint64_t drop_features; /* as in struct front_opts */
	uint64_t drop_protocol;
	unsigned queue_size; /* as in struct front_pmem_opts */
	bool separate;
	uint64_t timeout_ns;
	int *fd; /* taken; NULL: connect to the daemon's path */
};

/* Connects and prepares the driver; the device is not started. Ends the test if that fails. */
void guest_open(struct guest *g, const struct daemon *d, const struct guest_opts *opts);

/* Drops the connection. */
void guest_close(struct guest *g);

/* The guest resets the device and its driver begins again; the device is not started. */
void guest_reset(struct guest *g);

/* guest_open() and a start, with the mapping made and one flush done. */
void guest_boot(struct guest *g, const struct daemon *d, const struct guest_opts *opts);

/* Submits a flush. Waits for it: up to ms; true if it is done. */
void guest_submit(struct guest *g, struct noted *n);
bool guest_wait(struct guest *g, const struct noted *n, unsigned ms);

/* One flush, from submission to its end: 0 or a negative error. */
int guest_flush(struct guest *g);

/* A whole life: connect, map, store, flush, see it in the image, reset, close. */
void check_serves(const char *name, const struct daemon *d);

#endif
