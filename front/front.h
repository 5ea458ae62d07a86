/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user front end in one thread: the process is the virtual machine monitor and, with
 * guest/, the guest as well. It does what QEMU 11.1.3 does, in QEMU's order, and notes the
 * moments at which QEMU would have crashed. For tests, measurements and probing.
 *
 * Life of a connection:
 *
 *   front_open()	negotiated, nothing runs; guest RAM and queues can be filled in
 *   front_start()	DRIVER_OK, or QEMU's `cont`: queues run, mappings are possible
 *   front_stop()	QEMU's `stop`: queues keep their position, mappings stay
 *   front_reset()	the guest resets: mappings are dropped silently, positions are 0
 *   front_close()
 *
 * All functions return 0 or -errno unless they say otherwise; -EREMOTEIO means that the back
 * end answered with a failure.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "front/maps.h"
#include "front/sock.h"

#define FRONT_MAX_QUEUES 8u
#define FRONT_BAR_GPA	 ((uint64_t)1 << 40) /* where the shared-memory regions lie */

/*
 * With memory slots QEMU 11.1.3 aborts when a VM has more regions, which are RAM and all that is
 * mapped, whether the back end has accepted them or not (measured: "Assertion dev->mem->nregions <=
 * VHOST_USER_MAX_RAM_SLOTS").
 */
#define FRONT_MAX_REGIONS 512u

struct front_opts {
	int fd;			 /* connected socket, taken in every case; or -1: */
	const char *socket_path; /* connect to this */
	uint64_t ram_size;	 /* bytes of guest RAM, at guest-physical 0; 0: 16 MiB */
	unsigned int num_queues; /* 0: 1 */
	bool fewer_queues;	 /* take as many as there are, if there are fewer */
	uint64_t drop_features;	 /* virtio feature bits not to accept */
	uint64_t drop_protocol;	 /* protocol feature bits not to accept */
	int timeout_ms;		 /* for an answer; 0: 5000 */
	bool not_ram_like;	 /* guest code must not touch the window by pointer */
	bool enforce_read_only;	 /* map O_RDONLY files for reading; 11.1.3 refuses them */
	/*
	 * What is not mapped can be read and written, and that is lost when something is mapped
	 * there. So whoever compares data finds out. Otherwise an access is a SIGSEGV.
	 */
	bool holes_readable;
};

/* A ring in guest RAM and its eventfds. */
struct front_queue {
	unsigned int size; /* entries; 0: the driver does not use this queue */
	void *desc, *avail, *used;
	int kick, call, err; /* eventfds, ours, not blocking */
	uint16_t base;	     /* next available index, as of the last stop */
	uint64_t kicks, calls, errs;
};

/* What to do with the next SHMEM_MAP or SHMEM_UNMAP. */
enum front_reply {
	FRONT_REPLY_NORMAL,
	FRONT_REPLY_NEVER, /* ignored */
	FRONT_REPLY_ERROR, /* refused, nothing done */
	FRONT_REPLY_LATE,  /* held until front_release() */
};

/* Misbehaviour, all off at first; a test changes them at any time. */
struct front_faults {
	enum front_reply reply;
	bool no_table; /* mappings are not announced in the memory table */
	bool deaf;     /* while we wait for an answer the back-end channel is not served:
			  what QEMU does when a vCPU thread holds its big lock */
};

struct front_stats {
	uint64_t sent;		 /* messages on the main channel */
	uint64_t backend;	 /* requests read from the back-end channel */
	uint64_t maps, unmaps;	 /* done */
	uint64_t map_errors;	 /* SHMEM_* refused because they were wrong */
	uint64_t tables;	 /* memory tables or regions sent */
	uint64_t refused;	 /* of those, answered with a failure */
	uint64_t table_full;	 /* not sent: SET_MEM_TABLE has no room */
	uint64_t config_changes; /* CONFIG_CHANGE_MSG */
	uint64_t unknown;	 /* other back-end requests */
	uint64_t grown;		 /* empty files that were made longer, as QEMU does: to be 0 */
	/* Any of these would have crashed QEMU; a test checks for 0. */
	uint64_t violations;
	uint64_t owned_violations; /* watch() has said that the guest still owns it */
};

/*
 * A mapping is about to be removed because the back end wants it: does the guest own a byte of it?
 * Called on the thread that serves the back-end channel; offset and len in bytes of the region.
 */
typedef bool front_watch_fn(void *ctx, uint8_t shmid, uint64_t shm_offset, uint64_t len);

/* Public for reading, but for faults and the watch. */
struct front {
	struct front_opts opts;
	struct front_faults faults;
	struct front_stats stats;
	front_watch_fn *watch; /* or NULL */
	void *watch_ctx;

	int sock;    /* main channel; -1 when lost */
	int backend; /* our end of the back-end channel, or -1 */
	uint64_t offered, features;
	uint64_t protocol_offered, protocol;
	uint64_t max_slots;
	bool running;	  /* between start and stop */
	bool window_open; /* SHMEM_* is legal */
	unsigned int depth;
	bool table_dirty; /* mappings changed since the table was sent */

	int ram_fd;
	uint8_t *ram;
	uint64_t ram_used;
	bool ram_listed;

	uint64_t shm_size[VHOST_USER_MAX_SHMEM]; /* bytes; 0: no such region */
	uint64_t bar_size;			 /* sum of them */
	uint8_t *bar;				 /* address space reserved for all */
	struct front_maps maps;
	struct front_msg held[4];
	unsigned int num_held;

	unsigned int num_queues;
	struct front_queue q[FRONT_MAX_QUEUES];
};

/* Connect and negotiate. *out is NULL on error. */
int front_open(struct front **out, const struct front_opts *opts);

/* Drops the connection without a word, as a killed process does. NULL is fine. */
void front_close(struct front *f);

/* Is a protocol feature, by number, in use? */
bool front_has(const struct front *f, unsigned int bit);

/* What a request on the main channel waits for. */
enum front_wait {
	FRONT_NO_WAIT,
	FRONT_ACK,   /* the acknowledgement, if REPLY_ACK is negotiated */
	FRONT_REPLY, /* the answer that the request has by itself; then *m is that answer */
};

/* Send m and wait. The back-end channel is served meanwhile, unless faults.deaf. */
int front_call(struct front *f, struct front_msg *m, enum front_wait wait);

/* Requests with one number: send it, or receive it. */
int front_set_u64(struct front *f, uint32_t request, uint64_t value, enum front_wait wait);
int front_get_u64(struct front *f, uint32_t request, uint64_t *value);

/*
 * Wait up to timeout_ms (-1: for ever) for calls, ring errors and back-end requests, and
 * handle all that are there. Returns how many events there were, or -EPIPE if the back end
 * closed the connection.
 */
int front_poll(struct front *f, int timeout_ms);

/* Device configuration space. Bytes [off, off + len) must be below 256. */
int front_config_read(struct front *f, uint32_t off, void *dst, uint32_t len);
int front_config_write(struct front *f, uint32_t off, const void *src, uint32_t len);

#endif
