/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio-pmem device inside the kernel that its driver runs in, for tests.
 *
 *	testdev_main.c		the virtio device: range, config space, status, life and death
 *	testdev_ring.c		device side of the queue: what arrives, and when it is answered
 *	testdev_plan.c		what is planned for which request; what was seen
 *	testdev_debugfs.c	the files through which a test says and learns all this
 *
 * There is one device at a time. Plan, log and counts outlive it: the first request of a device
 * comes while it is being made. All data here and in struct td_device is protected by td_lock,
 * which is taken inside a driver's lock (notify) and never held while a driver is called.
 */
#ifndef VPMEM_TESTDEV_H
#define VPMEM_TESTDEV_H

#include <linux/irq_work.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>

#define TD_RING_SIZE 128
#define TD_LOG_SIZE  256
#define TD_PLAN_SIZE 64

/* What an action does besides an answer with its ret. */
#define TD_SHORT       BIT(0)  /* used length 0, nothing written */
#define TD_STALL       BIT(1)  /* no answer before "release" */
#define TD_NEVER       BIT(2)  /* no answer at all */
#define TD_THREAD      BIT(4)  /* the answer comes from a thread, not from an interrupt */
#define TD_BAD_ID      BIT(5)  /* the used id is out of range */
#define TD_TWICE       BIT(6)  /* the same id is used twice */
#define TD_NEEDS_RESET BIT(7)  /* the status is set; nothing is answered from now on */
#define TD_CONFIG      BIT(8)  /* with a configuration interrupt */
#define TD_GONE	       BIT(9)  /* the device is unregistered, by a work item */
#define TD_BREAK       BIT(10) /* its queues are marked broken before that */

struct td_action {
	const char *name;
	u32 ret;
	unsigned int flags;
};

/* Masks, so that a delivery can be asked for several of them. */
enum td_state {
	TD_FREE = 0,
	TD_WAITING = BIT(0), /* stalled, or never answered */
	TD_TIMED = BIT(1),   /* a timer makes it ready */
	TD_READY_IRQ = BIT(2),
	TD_READY_THREAD = BIT(3),
};

/* A request in flight. The head of its chain is its place in td_device.requests. */
struct td_request {
	struct td_device *dev;
	enum td_state state;
	const struct td_action *action;
	__le32 *reply; /* the driver's memory; NULL: malformed */
	struct timer_list timer;
};

/**
 * struct td_device - one registered device
 * @vdev: what the driver binds to; its release frees all
 * @vq: the queue; NULL: not set up or reset, its memory may not be touched
 * @status: as the driver reads it
 * @dead: NEEDS_RESET was set, nothing is answered until the next reset
 * @gone: to be unregistered by td_gone_work
 * @broken: marked broken before that
 * @config: a configuration interrupt is due
 * @interrupt: the driver is to look at the queue, whatever it asked for
 * @delivering: somebody is in td_deliver(); the driver sees one interrupt at a time
 * @todo: states that td_deliver() was asked for
 * @popped: how much of the available ring has been seen
 * @used: the used index
 * @last_head: of the request answered last
 * @in_flight: requests that are not free
 * @irq: hard interrupt context to answer in
 * @thread: process context to answer in
 * @requests: by head
 */
struct td_device {
	struct virtio_device vdev;
	struct virtqueue *vq;
	u8 status;
	bool dead, gone, broken, config, interrupt, delivering;
	unsigned int todo;
	u16 popped, used, last_head;
	unsigned int in_flight;
	struct irq_work irq;
	struct work_struct thread;
	struct td_request requests[TD_RING_SIZE];
};

static inline struct td_device *to_td(struct virtio_device *vdev)
{
	return container_of(vdev, struct td_device, vdev);
}

/* What is remembered of each request. */
struct td_record {
	unsigned int number;
	unsigned int depth;
	const struct td_action *action;
	u8 byte;
	bool indirect, malformed;
};

struct td_counts {
	unsigned int requests; /* since the module was loaded */
	unsigned int answered;
	unsigned int spurious;	/* notifications of an empty ring */
	unsigned int malformed; /* chains that are not a flush */
	unsigned int stray;	/* notifications of a queue that was reset */
	unsigned int max_depth;
	unsigned int resets;
	unsigned int created;
};

extern spinlock_t td_lock;
extern struct td_counts td_counts;
extern u64 td_watch;
extern struct workqueue_struct *td_wq;

/* testdev_main.c */
int td_create(void);
int td_destroy(void);
int td_freeze(void);
int td_restore(void);
int td_with_device(int (*what)(struct td_device *dev, const void *arg), const void *arg);
void td_act(struct td_device *dev, const struct td_action *action);
u8 td_byte(void);
bool td_in_range(u64 offset);
bool td_exists(void);

/* testdev_ring.c */
void td_ring_init(struct td_device *dev);
void td_ring_stop(struct td_device *dev);
void td_ring_synchronize(struct td_device *dev);
bool td_notify(struct virtqueue *vq);
int td_release_stalled(struct td_device *dev, const void *unused);
int td_idle_action(struct td_device *dev, const void *action);

/* testdev_plan.c */
extern const struct td_action td_dead;
int td_plan_add(const char *name, unsigned int after, unsigned int delay,
		const struct td_action **now);
void td_plan_clear(void);
const struct td_action *td_plan_take(unsigned int *delay);
void td_log_add(const struct td_record *record);
void td_log_clear(void);
unsigned int td_log_copy(struct td_record *records);

/* testdev_debugfs.c */
int td_debugfs_init(void);
void td_debugfs_exit(void);

#endif /* VPMEM_TESTDEV_H */
