/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between a device and its transport. A device never sees a socket; a transport
 * never sees a request. Functions run on the control thread unless they say otherwise.
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/mem.h"
#include "virtio/queue.h"
#include "virtio/state.h"

/*
 * A memfd that a daemon of ours maps has exactly these seals. Another daemon in the same VM
 * knows it by them for what it is; the memfds that are a VM's RAM have none, or also
 * F_SEAL_SEAL.
 */
#define SHM_MEMFD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* One mapping of a file into a shared-memory region; or its removal. */
struct shm_req {
	uint8_t shmid;
	bool writable;
	int fd;		    /* borrowed until done; unused by unmap */
	uint64_t fd_offset; /* bytes */
	uint64_t shm_offset;
	uint64_t len;
	/*
	 * Called once, on the control thread, never from inside map() or unmap(): 0 when the
	 * guest sees the change, -errno when it was refused, -ECANCELED when the device stopped
	 * first (then it may or may not happen yet).
	 */
	void (*done)(struct shm_req *req, int err);
	struct shm_req *next; /* the transport's */
	bool is_map;	      /* the transport's */
};

/*
 * Asynchronous: a call queues the request, which stays the caller's and must live until
 * done(). 0, or, and then done() is not called: -ENOTSUP if the front end cannot do this,
 * -ECANCELED if the device is not started.
 */
struct shm_ops {
	int (*map)(void *ctx, struct shm_req *req);
	int (*unmap)(void *ctx, struct shm_req *req);
};

/* What a device may ask of its transport. */
struct device_host {
	const struct shm_ops *shm;
	void *shm_ctx;
	/* Any thread: makes the queue's thread call serve() again soon. */
	void (*wake)(void *ctx, unsigned queue);
	/* Any thread: makes the control thread call attend() soon. */
	void (*attend)(void *ctx);
	void *ctx;
};

/* How a start came about. */
struct device_start {
	const struct mem_table *mem; /* borrowed for the call */
	bool continued; /* the rings go on where they stopped, so this is not a new driver */
	bool can_map;	/* shm_ops are of use with this front end */
};

/*
 * May be a copy that belongs to one device, with numbers that its options chose; it does not
 * change any more once the transport has it.
 */
struct device_ops {
	const char *type;  /* "pmem" */
	uint64_t features; /* VIRTIO_* device bits; ring features are the transport's */
	uint16_t num_queues;
	uint32_t config_size; /* 0: there is no config space, and config_read is not called */
	uint32_t spin_ns;     /* how long vq_spin() looks at most; 0: never */
	/*
	 * May be migrated while it runs: it tells vq_wrote() of everything that it, or the
	 * kernel for it, has written into guest memory. Not together with shm_size.
	 */
	bool migratable;

	/* [off, off + len) is inside config_size. */
	void (*config_read)(void *dev, uint32_t off, void *buf, uint32_t len);
	/* The same; 0 or -errno. NULL: nothing is writable. */
	int (*config_write)(void *dev, uint32_t off, const void *buf, uint32_t len);
	/* Bytes of a shared-memory region, 0 if there is none. NULL: there are none at all. */
	uint64_t (*shm_size)(void *dev, uint8_t shmid);
	/* Is this a file that the device maps into its regions? NULL if shm_size is. */
	bool (*shm_file)(void *dev, dev_t st_dev, ino_t st_ino);

	/*
	 * What it maps may belong to one VM only: a front end is not served while a former one,
	 * which may still have it mapped, lives.
	 */
	bool exclusive;

	/* The device's first queue is about to run. Mappings are possible until stop(). */
	void (*start)(void *dev, const struct device_start *how);
	/* No queue runs any more; outstanding requests to shm_ops have been cancelled. */
	void (*stop)(void *dev);
	/* The driver or the front end starts over; nothing runs. */
	void (*reset)(void *dev);

	/*
	 * The control thread has nothing else to do, and somebody has asked for this, or the time
	 * that it returned the last time has passed: nanoseconds, or UINT64_MAX for never. NULL:
	 * not interested.
	 */
	uint64_t (*attend)(void *dev);

	/*
	 * The queue's thread: serve until the ring is empty with kicks on, vq->stopping or
	 * vq->broken. Called again after each kick and each wake(), and perhaps for no reason.
	 * Returns the nanoseconds after which it wants to be called again anyway, or UINT64_MAX.
	 *
	 * A call that goes on for long calls vq_refresh() now and then: others may wait for that.
	 *
	 * The ring goes back after a call that began with vq->stopping set, even if it is broken:
	 * that one must not pop, and waits until nothing the device has started can touch guest
	 * memory any more. What is popped and not answered then may be kept: see vq_adopt().
	 */
	uint64_t (*serve)(void *dev, unsigned queue, struct vq *vq);

	/*
	 * A descriptor whose readiness calls serve() again, such as an io_uring; -1 for none.
	 * Edge-triggered: it is not read, and what was ready before calls serve() once. Asked each
	 * time the ring is handed to its thread; stays the device's, and open until the ring
	 * is back. NULL: none.
	 */
	int (*wait_fd)(void *dev, unsigned queue);

	/*
	 * The front end has begun to log what we write (a migration may follow: time to prepare
	 * for save()), or does not log any more. Queues may run. NULL: not interested.
	 */
	void (*logging)(void *dev, bool on);

	/*
	 * Migration of what the device knows, such as open files; both NULL if there is nothing.
	 * On the transport's state thread, while no queue runs; no other function of the device but
	 * config_read is called before they return. 0 or -errno, which the front end hears as
	 * "failed". A put or get that fails (-ECANCELED: the front end wants something else) should
	 * end them soon.
	 *
	 * load() replaces what the device had; one that fails leaves it as reset() does. It must
	 * take state_get() == -ENODATA as the end, and trust nothing it gets.
	 */
	int (*save)(void *dev, struct state_out *out);
	int (*load)(void *dev, struct state_in *in);
};

#endif
