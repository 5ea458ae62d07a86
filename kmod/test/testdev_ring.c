// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device side of the split ring.
 *
 * A notification comes with the driver's lock held and interrupts off. It only looks at what has
 * arrived, remembers it and decides; answers are given by td_deliver(), in hard interrupt context
 * (irq_work) or, if the plan says so, in a thread. The ring is the driver's memory and its
 * addresses are physical, since ACCESS_PLATFORM is not offered.
 */
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include "testdev.h"

#define TD_MAX_CHAIN 8

/* A flush: four bytes to read, four to write. */
struct td_chain {
	unsigned int readable, writable, length;
	bool indirect;
	__le32 *reply;
};

static void *td_memory(struct virtio_device *vdev, const struct vring_desc *desc)
{
	u64 address = virtio64_to_cpu(vdev, desc->addr);

	return pfn_valid(PHYS_PFN(address)) ? phys_to_virt(address) : NULL;
}

static void td_chain_add(struct td_device *dev, struct td_chain *chain,
			 const struct vring_desc *desc)
{
	u32 length = virtio32_to_cpu(&dev->vdev, desc->len);

	if (virtio16_to_cpu(&dev->vdev, desc->flags) & VRING_DESC_F_WRITE) {
		chain->writable += length;
		chain->reply = td_memory(&dev->vdev, desc);
	} else {
		chain->readable += length;
	}
}

/* Follows a chain in one table of @size descriptors; those in the ring may lead to another. */
static void td_walk(struct td_device *dev, struct td_chain *chain, const struct vring_desc *table,
		    unsigned int size, u16 i)
{
	struct virtio_device *vdev = &dev->vdev;
	u16 flags = VRING_DESC_F_NEXT;

	while ((flags & VRING_DESC_F_NEXT) && i < size && ++chain->length <= TD_MAX_CHAIN) {
		flags = virtio16_to_cpu(vdev, table[i].flags);
		if (flags & VRING_DESC_F_INDIRECT)
			break;
		td_chain_add(dev, chain, &table[i]);
		i = virtio16_to_cpu(vdev, table[i].next);
	}
	if (!(flags & VRING_DESC_F_INDIRECT) || chain->indirect)
		return;
	chain->indirect = true;
	size = virtio32_to_cpu(vdev, table[i].len) / sizeof(*table);
	table = td_memory(vdev, &table[i]);
	if (table)
		td_walk(dev, chain, table, size, 0);
}

static bool td_is_flush(const struct td_chain *chain)
{
	return chain->readable == 4 && chain->writable == 4 && chain->reply &&
	       chain->length <= TD_MAX_CHAIN;
}

static void td_record(struct td_device *dev, const struct td_chain *chain,
		      const struct td_action *action)
{
	struct td_record record = {
		.number = td_counts.requests,
		.depth = dev->in_flight,
		.action = action,
		.byte = td_byte(),
		.indirect = chain->indirect,
		.malformed = !td_is_flush(chain),
	};

	td_counts.malformed += record.malformed;
	td_counts.max_depth = max(td_counts.max_depth, record.depth);
	td_log_add(&record);
}

static void td_set_state(struct td_request *req, const struct td_action *action, unsigned int delay)
{
	req->action = action;
	if (action->flags & (TD_STALL | TD_NEVER)) {
		req->state = TD_WAITING;
	} else if (delay) {
		req->state = TD_TIMED;
		mod_timer(&req->timer, jiffies + max(msecs_to_jiffies(delay), 1UL));
	} else {
		req->state = TD_READY_IRQ;
		irq_work_queue(&req->dev->irq);
	}
}

/* One request arrives. */
static void td_accept(struct td_device *dev, const struct vring *vr, u16 head)
{
	const struct td_action *action;
	struct td_chain chain = { 0 };
	struct td_request *req;
	unsigned int delay = 0;

	td_counts.requests++;
	action = td_plan_take(&delay);
	if (head >= vr->num || dev->requests[head].state != TD_FREE) {
		td_counts.malformed++; /* no place for it, or one that is in use */
		return;
	}
	if (dev->dead)
		action = &td_dead;
	dev->in_flight++;
	td_walk(dev, &chain, vr->desc, vr->num, head);
	td_record(dev, &chain, action);
	req = &dev->requests[head];
	req->reply = td_is_flush(&chain) ? chain.reply : NULL;
	td_set_state(req, action, delay);
	td_act(dev, action);
}

/* All that is available. Then the next one is to be notified; one may have come meanwhile. */
static unsigned int td_pop(struct td_device *dev)
{
	const struct vring *vr = virtqueue_get_vring(dev->vq);
	struct virtio_device *vdev = &dev->vdev;
	unsigned int n = 0;
	u16 end;

	for (;;) {
		/* The index before the entries, which the driver writes in the opposite order. */
		end = virtio16_to_cpu(vdev, smp_load_acquire(&vr->avail->idx));
		if (dev->popped == end)
			return n;
		for (; dev->popped != end; n++) {
			u16 at = dev->popped++ & (vr->num - 1);

			td_accept(dev, vr, virtio16_to_cpu(vdev, vr->avail->ring[at]));
		}
		vring_avail_event(vr) = cpu_to_virtio16(vdev, end);
		smp_mb(); /* the event before the index; the driver's order is opposite */
	}
}

/**
 * td_notify() - the driver says that something is available
 * @vq: its queue
 *
 * Context: any; usually with the driver's lock held and interrupts off.
 * Return: true.
 */
bool td_notify(struct virtqueue *vq)
{
	struct td_device *dev = to_td(vq->vdev);
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	if (!dev->vq)
		td_counts.stray++;
	else if (!td_pop(dev))
		td_counts.spurious++;
	spin_unlock_irqrestore(&td_lock, flags);
	return true;
}

static void td_use(struct td_device *dev, const struct vring *vr, u32 id, u32 length)
{
	struct vring_used_elem *e = &vr->used->ring[dev->used++ & (vr->num - 1)];

	e->id = cpu_to_virtio32(&dev->vdev, id);
	e->len = cpu_to_virtio32(&dev->vdev, length);
}

static void td_use_by_plan(struct td_device *dev, const struct vring *vr, u16 head, u32 length,
			   unsigned int flags)
{
	td_use(dev, vr, flags & TD_BAD_ID ? vr->num + head : head, length);
	if (flags & TD_TWICE)
		td_use(dev, vr, head, length);
	dev->last_head = head;
}

static void td_answer(struct td_device *dev, const struct vring *vr, struct td_request *req)
{
	unsigned int flags = req->action->flags;
	u32 length = 0;

	if (req->reply && !(flags & TD_SHORT)) {
		*req->reply = cpu_to_le32(req->action->ret);
		length = sizeof(*req->reply);
	}
	req->state = TD_FREE;
	dev->in_flight--;
	td_counts.answered++;
	td_use_by_plan(dev, vr, req - dev->requests, length, flags);
}

static void td_show_used(struct td_device *dev, const struct vring *vr)
{
	/* The answers and the elements before the index that lets the driver look at them. */
	smp_store_release(&vr->used->idx, cpu_to_virtio16(&dev->vdev, dev->used));
}

/* Shows what was used since @old, and says whether the driver wants an interrupt for it. */
static bool td_publish(struct td_device *dev, const struct vring *vr, u16 old)
{
	struct virtio_device *vdev = &dev->vdev;

	if (dev->used == old)
		return false;
	td_show_used(dev, vr);
	smp_mb(); /* the index before the event; the driver's order is opposite */
	if (virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(virtio16_to_cpu(vdev, vring_used_event(vr)), dev->used,
					old);
	return !(virtio16_to_cpu(vdev, READ_ONCE(vr->avail->flags)) & VRING_AVAIL_F_NO_INTERRUPT);
}

/* Answers all requests in a state of the mask. */
static bool td_answer_all(struct td_device *dev, unsigned int states)
{
	const struct vring *vr;
	unsigned int i;
	u16 old;

	if (!dev->vq)
		return false;
	vr = virtqueue_get_vring(dev->vq);
	old = dev->used;
	for (i = 0; i < TD_RING_SIZE; i++)
		if (dev->requests[i].state & states)
			td_answer(dev, vr, &dev->requests[i]);
	return td_publish(dev, vr, old);
}

/*
 * Answers what is ready and interrupts the driver. One interrupt at a time, as on a machine with
 * one vector: whoever comes while another one is at it leaves the rest to it. The queue stays
 * while this runs, see td_ring_synchronize().
 */
static void td_deliver(struct td_device *dev, unsigned int states)
{
	struct virtqueue *vq;
	unsigned long flags;
	bool used, config;

	spin_lock_irqsave(&td_lock, flags);
	dev->todo |= states;
	if (dev->delivering)
		goto out;
	dev->delivering = true;
	while (dev->todo) {
		states = dev->todo;
		dev->todo = 0;
		used = td_answer_all(dev, states) || dev->interrupt;
		vq = dev->vq;
		config = dev->config;
		dev->config = false;
		dev->interrupt = false;
		spin_unlock_irqrestore(&td_lock, flags);
		if (used && vq)
			vring_interrupt(0, vq);
		if (config)
			virtio_config_changed(&dev->vdev);
		spin_lock_irqsave(&td_lock, flags);
	}
	dev->delivering = false;
out:
	spin_unlock_irqrestore(&td_lock, flags);
}

static void td_irq(struct irq_work *irq)
{
	td_deliver(container_of(irq, struct td_device, irq), TD_READY_IRQ);
}

static void td_thread(struct work_struct *work)
{
	td_deliver(container_of(work, struct td_device, thread), TD_READY_THREAD);
}

static void td_timer(struct timer_list *timer)
{
	struct td_request *req = container_of(timer, struct td_request, timer);
	struct td_device *dev = req->dev;
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	if (req->state == TD_TIMED && req->action->flags & TD_THREAD) {
		req->state = TD_READY_THREAD;
		queue_work(td_wq, &dev->thread);
	} else if (req->state == TD_TIMED) {
		req->state = TD_READY_IRQ;
		irq_work_queue(&dev->irq);
	}
	spin_unlock_irqrestore(&td_lock, flags);
}

/**
 * td_release_stalled() - answer late
 * @dev: the device
 * @unused: nothing
 *
 * Context: td_lock is held.
 * Return: 0.
 */
int td_release_stalled(struct td_device *dev, const void *unused)
{
	unsigned int i;

	for (i = 0; i < TD_RING_SIZE; i++) {
		struct td_request *req = &dev->requests[i];

		if (req->state == TD_WAITING && !(req->action->flags & TD_NEVER))
			req->state = TD_READY_IRQ;
	}
	irq_work_queue(&dev->irq);
	return 0;
}

/**
 * td_idle_action() - do something without a request
 * @dev: the device
 * @arg: a struct td_action
 *
 * Context: td_lock is held.
 * Return: 0, or -ENXIO if the driver has not set up the queue.
 */
int td_idle_action(struct td_device *dev, const void *arg)
{
	const struct td_action *action = arg;
	const struct vring *vr;

	if (action->flags & (TD_BAD_ID | TD_TWICE)) {
		if (!dev->vq)
			return -ENXIO;
		vr = virtqueue_get_vring(dev->vq);
		td_use_by_plan(dev, vr, dev->last_head, sizeof(__le32), action->flags & TD_BAD_ID);
		td_show_used(dev, vr);
		dev->interrupt = true;
		irq_work_queue(&dev->irq);
	}
	td_act(dev, action);
	return 0;
}

/**
 * td_ring_init() - prepare a device
 * @dev: new and zeroed
 */
void td_ring_init(struct td_device *dev)
{
	unsigned int i;

	init_irq_work(&dev->irq, td_irq);
	INIT_WORK(&dev->thread, td_thread);
	for (i = 0; i < TD_RING_SIZE; i++) {
		dev->requests[i].dev = dev;
		timer_setup(&dev->requests[i].timer, td_timer, 0);
	}
}

/**
 * td_ring_synchronize() - wait for what is running in the driver because of us
 * @dev: the device
 *
 * Context: may sleep.
 */
void td_ring_synchronize(struct td_device *dev)
{
	irq_work_sync(&dev->irq);
	flush_work(&dev->thread);
}

/**
 * td_ring_stop() - stop touching the ring
 * @dev: the device
 *
 * Afterwards nothing is in flight, and the memory of the queue and of all requests is the
 * driver's again.
 *
 * Context: may sleep.
 */
void td_ring_stop(struct td_device *dev)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&td_lock, flags);
	dev->vq = NULL;
	dev->in_flight = 0;
	dev->popped = 0;
	dev->used = 0;
	dev->last_head = 0;
	for (i = 0; i < TD_RING_SIZE; i++)
		dev->requests[i].state = TD_FREE;
	spin_unlock_irqrestore(&td_lock, flags);
	for (i = 0; i < TD_RING_SIZE; i++)
		timer_delete_sync(&dev->requests[i].timer);
	td_ring_synchronize(dev);
}
