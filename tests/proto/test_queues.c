/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device with two queues and two mappings to make, in this process: what stops one queue
 * does not stop the other. The test plays the front end, at both channels.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/raw.h"
#include "vhost/vhost.h"
#include "virtio/fault.h"

#define NOT_DONE 1

/* Without CONFIG: it has none. */
#define PROTOCOL (RAW_PROTOCOL_BITS & ~((uint64_t)1 << VHOST_USER_PROTOCOL_F_CONFIG))

static struct device {
	struct vhost vhost;
	struct loop loop;
	int file;
	struct shm_req req[2];
	_Atomic int done[2]; /* what each ended with */
	_Atomic int starts, stops;
	_Atomic int refused; /* by map() */
} dev;

static uint64_t shm_size(void *ctx, uint8_t shmid)
{
	(void)ctx;
	return shmid ? 0 : 0x2000;
}

static bool shm_file(void *ctx, dev_t st_dev, ino_t st_ino)
{
	(void)ctx;
	(void)st_dev;
	(void)st_ino;
	return false;
}

static void map_done(struct shm_req *req, int err)
{
	dev.done[req - dev.req] = err;
}

static void start(void *ctx, const struct device_start *how)
{
	const struct device_host *host = &dev.vhost.host;

	(void)ctx;
	(void)how;
	dev.starts++;
	for (unsigned i = 0; i < 2; i++) {
		dev.done[i] = NOT_DONE;
		dev.req[i] = (struct shm_req){
			.fd = dev.file, .shm_offset = i * 0x1000, .len = 0x1000, .done = map_done
		};
		if (host->shm->map(host->shm_ctx, &dev.req[i]))
			dev.refused++;
	}
}

static void stop(void *ctx)
{
	(void)ctx;
	dev.stops++;
}

static void reset(void *ctx)
{
	(void)ctx;
}

static uint64_t serve(void *ctx, unsigned queue, struct vq *vq)
{
	(void)ctx;
	(void)queue;
	(void)vq;
	return UINT64_MAX;
}

static const struct device_ops ops = {
	.type = "test",
	.features = 1,
	.num_queues = 2,
	.shm_size = shm_size,
	.shm_file = shm_file,
	.start = start,
	.stop = stop,
	.reset = reset,
	.serve = serve,
};

static void *control_thread(void *arg)
{
	return loop_run(&dev.loop) ? arg : NULL;
}

/* Sends a right message with this index (or count), to be acknowledged. */
static enum raw_outcome call(struct raw *r, uint32_t request, unsigned q)
{
	struct front_msg m;

	raw_fill(r, request, &m);
	m.hdr.flags = RAW_NEED_ACK;
	if (m.hdr.size)
		m.p.bytes[0] = (uint8_t)q; /* where all of them have the index */
	if (request == VHOST_USER_SET_VRING_ENABLE)
		m.p.state.num = 1;
	return raw_call(r, &m);
}

static void start_queue(struct raw *r, unsigned q)
{
	static const uint32_t order[] = {
		VHOST_USER_SET_VRING_NUM,  VHOST_USER_SET_VRING_BASE, VHOST_USER_SET_VRING_ADDR,
		VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ENABLE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		CHECK_EQ("start a queue", call(r, order[i], q), RAW_ACK);
}

static void stop_queue(struct raw *r, unsigned q)
{
	call(r, VHOST_USER_GET_VRING_BASE, q);
	CHECK_EQ("stop a queue", r->reply.p.state.index, q);
}

/* The next request for a mapping is for the i-th. */
static bool asks_for(struct raw *r, unsigned i)
{
	struct front_msg m;

	if (front_sock_recv(r->pair[0], &m, 5000))
		return false;
	front_msg_close(&m);
	return m.hdr.request == VHOST_USER_BACKEND_SHMEM_MAP && m.p.mmap.shm_offset == i * 0x1000;
}

static bool is_quiet(struct raw *r)
{
	struct front_msg m;

	return front_sock_recv(r->pair[0], &m, 200) == -ETIMEDOUT;
}

static void refuse(struct raw *r)
{
	struct front_msg m = { .hdr = { VHOST_USER_BACKEND_SHMEM_MAP,
					VHOST_USER_VERSION | VHOST_USER_F_REPLY, 8 } };

	m.p.u64 = 1;
	REQUIRE(!front_sock_send(r->pair[0], &m));
}

static void test_one_of_two(struct raw *r)
{
	start_queue(r, 0);
	start_queue(r, 1);
	CHECK_EQ("one device", dev.starts, 1);
	CHECK_EQ("which may map", dev.refused, 0);
	CHECK_NAMED("asks for the first", asks_for(r, 0));
	CHECK_EQ("not another channel now", call(r, VHOST_USER_SET_BACKEND_REQ_FD, 0), RAW_NACK);

	stop_queue(r, 0);
	CHECK_EQ("the first is still wanted", dev.done[0], NOT_DONE);
	refuse(r);
	CHECK_NAMED("nothing is asked", is_quiet(r));
	CHECK_EQ("the first had its answer", dev.done[0], -EIO);
	CHECK_EQ("the second is still wanted", dev.done[1], NOT_DONE);
	CHECK_EQ("not stopped", dev.stops, 0);

	CHECK_EQ("the queue runs again", call(r, VHOST_USER_SET_VRING_KICK, 0), RAW_ACK);
	CHECK_NAMED("asks for the second", asks_for(r, 1));
	stop_queue(r, 0);
	CHECK_EQ("the second is still wanted", dev.done[1], NOT_DONE);
	stop_queue(r, 1);
	CHECK_EQ("stopped with the last queue", dev.stops, 1);
	CHECK_EQ("which cancels", dev.done[1], -ECANCELED);
	CHECK_EQ("now another channel", call(r, VHOST_USER_SET_BACKEND_REQ_FD, 0), RAW_ACK);
}

int main(void)
{
	pthread_t control;
	void *failed;
	struct raw r;
	int pair[2];

	make_pair(pair);
	raw_open_on(&r, pair[0]);
	dev.file = memfd_create("test", MFD_CLOEXEC);
	REQUIRE(dev.file >= 0 && !fault_init() && !loop_init(&dev.loop));
	REQUIRE(!vhost_init(&dev.vhost, &dev.loop, "test", &ops, &dev));
	REQUIRE(!vhost_attach(&dev.vhost, pair[1]));
	REQUIRE(!pthread_create(&control, NULL, control_thread, &dev));

	raw_negotiate(&r, PROTOCOL);
	CHECK_EQ("memory", call(&r, VHOST_USER_SET_MEM_TABLE, 1), RAW_ACK);
	CHECK_EQ("channel", call(&r, VHOST_USER_SET_BACKEND_REQ_FD, 0), RAW_ACK);
	test_one_of_two(&r);

	raw_close(&r);
	pthread_join(control, &failed);
	CHECK_NAMED("loop", !failed);
	vhost_fini(&dev.vhost);
	loop_fini(&dev.loop);
	close(dev.file);
	return check_done();
}
