// SPDX-License-Identifier: GPL-2.0-only
/*
 * Durability: flush requests, their answers, and what if there is none.
 *
 *	vpmem_flush_add() ---> group.next ---> request ---> device
 *	                           ^              |            |
 *	       more come meanwhile +              |         answer (interrupt)
 *	                                          v            v
 *	                                     group.sent ---> done()
 *
 * At most one request is with the device, and it is notified exactly once for each: a device
 * may take one request per notification, and may fail on a notification without a request. Nobody
 * sleeps here who did not ask for it, and nothing is allocated: the descriptors of a request
 * fit into the ring, because INDIRECT_DESC is not negotiated (vpmem_validate()).
 *
 * What a request covers: all stores before vpmem_flush_add() come before the lock is given up,
 * and with it before the request is in the ring. Taking a lock also orders non-temporal stores of
 * this CPU where these need a fence (x86: a locked instruction).
 *
 * The first failure is final, see &struct vpmem_group. There are five ways to it: the device
 * answers with an error, the queue breaks, the device says that it needs a reset, it does not
 * answer for `timeout` seconds, and it is removed. All end in fail_all().
 */
#include "flush.h"

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "compat.h"
#include "uapi/vpmem.h"

/* A host that is silent for so long gets a line in the log. */
#define PATIENCE_SECONDS 10

/* How often to look after a request that is outstanding. */
#define WATCH_INTERVAL HZ

static unsigned int timeout = 300;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout,
		 "Seconds until an unanswered flush fails, and all writes with it; 0: never");

/**
 * struct vpmem_request - what the device reads, and where it answers
 * @req:	the request
 * @resp:	the answer, in a cache line of its own
 */
struct vpmem_request {
	struct vpmem_req req;
	struct vpmem_resp resp ____cacheline_aligned;
};

static void wake_if_idle(struct vpmem_flush *flush)
{
	/* Who begins to sleep looks once more with the lock: nobody is missed. */
	if (!flush->ending && vpmem_group_idle(&flush->group) && waitqueue_active(&flush->idle))
		wake_up_all(&flush->idle);
}

/* Gives up the lock, and the bios back to whom they belong. */
static void unlock_and_end(struct vpmem_flush *flush, unsigned long flags, struct bio_list *ended)
	__releases(&flush->lock)
{
	struct bio *bio;

	if (bio_list_empty(ended)) {
		wake_if_idle(flush);
		spin_unlock_irqrestore(&flush->lock, flags);
		return;
	}
	flush->ending++;
	spin_unlock_irqrestore(&flush->lock, flags);
	while ((bio = bio_list_pop(ended)))
		flush->done(flush, bio);
	spin_lock_irqsave(&flush->lock, flags);
	flush->ending--;
	wake_if_idle(flush);
	spin_unlock_irqrestore(&flush->lock, flags);
}

/* Locked. Everybody who waits goes to @ended. */
static void fail_all(struct vpmem_flush *flush, blk_status_t error, const char *why,
		     struct bio_list *ended)
{
	if (flush->group.error)
		return;
	if (why)
		dev_err(&flush->vdev->dev,
			"%s: writes fail from now on, until the driver is bound anew\n", why);
	vpmem_group_fail(&flush->group, error, ended);
}

/* Locked. The device gets a request, which it has to be given back before the next one. */
static int publish(struct vpmem_flush *flush)
{
	struct scatterlist *sgs[] = { &flush->readable, &flush->writable };
	int err;

	flush->request->req.type = cpu_to_le32(VPMEM_REQ_FLUSH);
	flush->request->resp.ret = ~cpu_to_le32(VPMEM_RESP_OK); /* unless the device says so */
	err = virtqueue_add_sgs(flush->vq, sgs, 1, 1, flush->request, GFP_ATOMIC);
	if (err)
		return err;
	flush->sent_at = ktime_get();
	flush->starved = false;
	flush->warned = false;
	queue_delayed_work(flush->workqueue, &flush->watch, WATCH_INTERVAL);
	return virtqueue_kick(flush->vq) ? 0 : -EIO;
}

/* After how many seconds a request fails; 0 for never. */
static unsigned int limit(const struct vpmem_flush *flush)
{
	unsigned int seconds = READ_ONCE(timeout);

	if (flush->hurry && (!seconds || seconds > PATIENCE_SECONDS))
		return PATIENCE_SECONDS;
	return seconds;
}

static s64 age_ms(const struct vpmem_flush *flush)
{
	return ktime_ms_delta(ktime_get(), flush->sent_at);
}

static bool is_late(const struct vpmem_flush *flush)
{
	unsigned int seconds = limit(flush);

	return seconds && age_ms(flush) >= (s64)seconds * MSEC_PER_SEC;
}

/*
 * Locked. Memory may be short where requests are copied for the device (bounce buffers). That
 * passes: the watch tries again, for as long as it would wait for an answer.
 */
static bool try_again(struct vpmem_flush *flush)
{
	if (!flush->starved)
		flush->sent_at = ktime_get();
	flush->starved = true;
	if (is_late(flush))
		return false;
	vpmem_group_unsend(&flush->group);
	mod_delayed_work(flush->workqueue, &flush->watch, 1);
	return true;
}

/* Locked. */
static void send(struct vpmem_flush *flush, struct bio_list *ended)
{
	int err;

	if (!vpmem_group_send(&flush->group))
		return;
	err = publish(flush);
	if (err && (err != -ENOMEM || !try_again(flush)))
		fail_all(flush, BLK_STS_IOERR, "a flush could not be sent to the host", ended);
}

/**
 * vpmem_flush_add() - bios wait until what was written before is durable
 * @flush:	of the device
 * @bios:	taken. Each comes back through done()
 *
 * Context: Any, also atomic.
 */
void vpmem_flush_add(struct vpmem_flush *flush, struct bio_list *bios)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;

	spin_lock_irqsave(&flush->lock, flags);
	vpmem_group_add(&flush->group, bios, &ended);
	send(flush, &ended);
	unlock_and_end(flush, flags, &ended);
}

/* Locked. @written: so many bytes the device says to have written. */
static void take_answer(struct vpmem_flush *flush, unsigned int written, struct bio_list *ended)
{
	bool ok = written >= sizeof(struct vpmem_resp) &&
		  flush->request->resp.ret == cpu_to_le32(VPMEM_RESP_OK);
	u64 ns = ktime_to_ns(ktime_sub(ktime_get(), flush->sent_at));

	flush->latency.slot[vpmem_latency_slot(ns)]++;
	if (flush->warned && !flush->group.error)
		dev_info(&flush->vdev->dev, "the host has answered after %llu s\n",
			 div_u64(ns, NSEC_PER_SEC));
	if (!ok)
		fail_all(flush, BLK_STS_IOERR, "the host could not make writes durable", ended);
	vpmem_group_answer(&flush->group, ended);
}

/* The device has used a buffer, in interrupt context. */
static void answered(struct virtqueue *vq)
{
	struct vpmem_flush *flush = vq->vdev->priv;
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;
	unsigned int written;

	spin_lock_irqsave(&flush->lock, flags);
	/* A second answer to the one request breaks the queue, here and not in the next round. */
	while (flush->vq && virtqueue_get_buf(vq, &written))
		take_answer(flush, written, &ended);
	if (flush->vq && virtqueue_is_broken(vq))
		fail_all(flush, BLK_STS_IOERR, "the queue is broken", &ended);
	send(flush, &ended);
	unlock_and_end(flush, flags, &ended);
}

/* Locked. */
static void check_age(struct vpmem_flush *flush, struct bio_list *ended)
{
	if (is_late(flush)) {
		fail_all(flush, BLK_STS_TIMEOUT, "the host does not answer", ended);
		return;
	}
	if (age_ms(flush) >= PATIENCE_SECONDS * MSEC_PER_SEC && !flush->warned) {
		flush->warned = true;
		dev_warn(&flush->vdev->dev, "the host has not answered a flush for %u s\n",
			 PATIENCE_SECONDS);
	}
	queue_delayed_work(flush->workqueue, &flush->watch, WATCH_INTERVAL);
}

/* Or somebody has reset it behind our back, or it is gone and reads as all ones. */
static bool needs_reset(struct virtio_device *vdev)
{
	u8 status = vdev->config->get_status(vdev);

	return status & VIRTIO_CONFIG_S_NEEDS_RESET || !(status & VIRTIO_CONFIG_S_DRIVER_OK);
}

static void look_after(struct vpmem_flush *flush)
{
	bool dead = needs_reset(flush->vdev); /* sleeps on some transports */
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;

	spin_lock_irqsave(&flush->lock, flags);
	if (dead)
		fail_all(flush, BLK_STS_IOERR, "the device needs a reset", &ended);
	else if (flush->vq && virtqueue_is_broken(flush->vq))
		fail_all(flush, BLK_STS_IOERR, "the queue is broken", &ended);
	else if (flush->group.outstanding && !flush->group.error)
		check_age(flush, &ended);
	send(flush, &ended);
	unlock_and_end(flush, flags, &ended);
}

/* Not while the system sleeps: a device that has no power reads as all ones. */
static void watch(struct work_struct *work)
{
	look_after(container_of(work, struct vpmem_flush, watch.work));
}

/**
 * vpmem_flush_look() - the device may have something to say
 * @flush:	of the device
 *
 * Context: Any, also atomic.
 */
void vpmem_flush_look(struct vpmem_flush *flush)
{
	mod_delayed_work(flush->workqueue, &flush->watch, 0);
}

static bool is_idle(struct vpmem_flush *flush)
{
	bool idle;

	spin_lock_irq(&flush->lock);
	idle = !flush->ending && vpmem_group_idle(&flush->group);
	spin_unlock_irq(&flush->lock);
	return idle;
}

/* Returns false if there was no memory to send it. */
static bool send_first(struct vpmem_flush *flush)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&flush->lock, flags);
	if (!flush->group.error) {
		err = publish(flush);
		if (!err)
			vpmem_group_begin(&flush->group);
	}
	if (err && err != -ENOMEM)
		fail_all(flush, BLK_STS_IOERR, "a flush could not be sent to the host", &ended);
	unlock_and_end(flush, flags, &ended);
	return err != -ENOMEM;
}

/* Returns 0, or -EINTR if the process is killed while the device has the request. */
static int wait_for_first(struct vpmem_flush *flush, bool killable)
{
	while (!wait_event_timeout(flush->idle, is_idle(flush), WATCH_INTERVAL)) {
		look_after(flush); /* the watch may be frozen */
		if (killable && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/**
 * vpmem_flush_first() - one flush, before anybody touches the memory
 * @flush:	of the device; held
 * @killable:	whoever waits may be killed
 *
 * The host may still be mapping the memory when the device is ready. It answers when it is done.
 *
 * Context: Sleeps until there is an answer or the request has failed.
 * Return: 0, or a negative errno.
 */
int vpmem_flush_first(struct vpmem_flush *flush, bool killable)
{
	int err, tries = 50;

	while (!send_first(flush)) { /* bounce buffers may be full for a moment */
		if (!tries--)
			return -ENOMEM;
		msleep(20);
	}
	err = wait_for_first(flush, killable);
	return err ? err : blk_status_to_errno(vpmem_flush_error(flush));
}

/**
 * vpmem_flush_hold() - send nothing more, and wait until the device has nothing
 * @flush:	of the device
 *
 * Return: 0 if the device is idle, or will not be used any more; -EBUSY if the host is silent,
 * and then it is not held.
 */
int vpmem_flush_hold(struct vpmem_flush *flush)
{
	spin_lock_irq(&flush->lock);
	flush->group.held = true;
	spin_unlock_irq(&flush->lock);
	if (wait_event_timeout(flush->idle, is_idle(flush), PATIENCE_SECONDS * HZ))
		return 0;
	vpmem_flush_release(flush);
	return -EBUSY;
}

/**
 * vpmem_flush_release() - requests may be sent, beginning with those for who waits
 * @flush:	of the device; connected
 */
void vpmem_flush_release(struct vpmem_flush *flush)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;

	spin_lock_irqsave(&flush->lock, flags);
	flush->group.held = false;
	send(flush, &ended);
	unlock_and_end(flush, flags, &ended);
}

/**
 * vpmem_flush_hurry() - how long to wait for a silent host
 * @flush:	of the device
 * @hurry:	somebody waits: not longer than it takes to warn of it
 */
void vpmem_flush_hurry(struct vpmem_flush *flush, bool hurry)
{
	spin_lock_irq(&flush->lock);
	flush->hurry = hurry;
	spin_unlock_irq(&flush->lock);
	if (hurry)
		vpmem_flush_look(flush);
}

/**
 * vpmem_flush_drain() - wait until nobody waits
 * @flush:	of the device; not held
 */
void vpmem_flush_drain(struct vpmem_flush *flush)
{
	wait_event(flush->idle, is_idle(flush));
}

/**
 * vpmem_flush_fail() - end all who wait, and fail all who come
 * @flush:	of the device
 * @error:	what they get
 */
void vpmem_flush_fail(struct vpmem_flush *flush, blk_status_t error)
{
	struct bio_list ended = BIO_EMPTY_LIST;
	unsigned long flags;

	spin_lock_irqsave(&flush->lock, flags);
	fail_all(flush, error, NULL, &ended);
	unlock_and_end(flush, flags, &ended);
}

/**
 * vpmem_flush_connect() - find the queue
 * @flush:	of the device; not connected
 *
 * Return: 0, or a negative errno.
 */
int vpmem_flush_connect(struct vpmem_flush *flush)
{
	struct virtio_device *vdev = flush->vdev;
	struct virtqueue *vq = virtio_find_single_vq(vdev, answered, "requests");

	if (IS_ERR(vq))
		return PTR_ERR(vq);
	if (virtqueue_get_vring_size(vq) < 2) {
		dev_err(&vdev->dev, "the queue has no room for a request and its answer\n");
		virtio_reset_device(vdev);
		vdev->config->del_vqs(vdev);
		return -EINVAL;
	}
	flush->vq = vq;
	return 0;
}

/**
 * vpmem_flush_disconnect() - reset the device, which owns nothing of ours then
 * @flush:	of the device; held and idle, or failed
 */
void vpmem_flush_disconnect(struct vpmem_flush *flush)
{
	struct virtqueue *vq;
	unsigned long flags;

	cancel_delayed_work_sync(&flush->watch);
	virtio_reset_device(flush->vdev);

	spin_lock_irqsave(&flush->lock, flags); /* an interrupt may be late */
	vq = flush->vq;
	flush->vq = NULL;
	while (vq && virtqueue_detach_unused_buf(vq))
		;
	flush->group.outstanding = false;
	spin_unlock_irqrestore(&flush->lock, flags);
	if (vq)
		flush->vdev->config->del_vqs(flush->vdev);
}

/**
 * vpmem_flush_init() - set up what needs no queue
 * @flush:	to set up; held
 * @vdev:	the device; its priv becomes @flush
 * @workqueue:	borrowed; freezable, and works when memory is short
 * @done:	see &struct vpmem_flush
 *
 * Return: 0 or -ENOMEM.
 */
int vpmem_flush_init(struct vpmem_flush *flush, struct virtio_device *vdev,
		     struct workqueue_struct *workqueue,
		     void (*done)(struct vpmem_flush *flush, struct bio *bio))
{
	flush->request = kzalloc(sizeof(*flush->request), GFP_KERNEL);
	if (!flush->request)
		return -ENOMEM;
	sg_init_one(&flush->readable, &flush->request->req, sizeof(flush->request->req));
	sg_init_one(&flush->writable, &flush->request->resp, sizeof(flush->request->resp));
	flush->vdev = vdev;
	flush->workqueue = workqueue;
	flush->done = done;
	spin_lock_init(&flush->lock);
	vpmem_group_init(&flush->group);
	INIT_DELAYED_WORK(&flush->watch, watch);
	init_waitqueue_head(&flush->idle);
	vdev->priv = flush;
	return 0;
}

/**
 * vpmem_flush_free() - undo vpmem_flush_init()
 * @flush:	of the device; not connected
 */
void vpmem_flush_free(struct vpmem_flush *flush)
{
	kfree(flush->request);
}
