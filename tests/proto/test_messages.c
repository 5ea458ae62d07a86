/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every message of the vhost-user specification, right and wrong, each on a connection of
 * its own. What must come back is written here from the specification, not taken from the
 * table in vhost/dispatch.c.
 */
#include <string.h>

#include "base/macros.h"
#include "tests/lib/check.h"
#include "tests/proto/raw.h"

static struct daemon d;

#define NO_BIT -1

/* How a right message is answered if VHOST_USER_F_NEED_REPLY is set. */
static const struct row {
	uint32_t request;
	const char *name;
	enum raw_outcome answer;
	uint32_t reply_size;	     /* of RAW_REPLY and of a u64 reply */
	uint32_t size_min, size_max; /* of the payload, such that the connection lives */
	uint32_t fds_min, fds_max;
	int needs;		      /* protocol feature */
	enum raw_outcome not_offered; /* the answer without that feature */
} rows[] = {
#define ROW(name, answer, reply, ...)                                \
	{                                                            \
		VHOST_USER_##name, #name, answer, reply, __VA_ARGS__ \
	}
	/* clang-format off */
	/* offered */
	ROW(GET_FEATURES, RAW_NACK, 8, 0, 0, 0, 0, NO_BIT, 0), /* a u64 that is not 0 */
	ROW(SET_FEATURES, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0),
	ROW(SET_OWNER, RAW_ACK, 8, 0, 0, 0, 0, NO_BIT, 0),
	ROW(RESET_OWNER, RAW_ACK, 8, 0, 0, 0, 0, NO_BIT, 0),
	ROW(SET_MEM_TABLE, RAW_ACK, 8, 40, 264, 1, 1, NO_BIT, 0),
	ROW(SET_VRING_NUM, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0),
	ROW(SET_VRING_ADDR, RAW_ACK, 8, 40, 40, 0, 0, NO_BIT, 0),
	ROW(SET_VRING_BASE, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0),
	ROW(GET_VRING_BASE, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0), /* index 0, base 0 */
	ROW(SET_VRING_KICK, RAW_ACK, 8, 8, 8, 1, 1, NO_BIT, 0),
	ROW(SET_VRING_CALL, RAW_ACK, 8, 8, 8, 1, 1, NO_BIT, 0),
	ROW(SET_VRING_ERR, RAW_ACK, 8, 8, 8, 1, 1, NO_BIT, 0),
	ROW(GET_PROTOCOL_FEATURES, RAW_NACK, 8, 0, 0, 0, 0, NO_BIT, 0),
	ROW(SET_PROTOCOL_FEATURES, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0),
	ROW(GET_QUEUE_NUM, RAW_NACK, 8, 0, 0, 0, 0, 0, RAW_EMPTY),
	ROW(SET_VRING_ENABLE, RAW_ACK, 8, 8, 8, 0, 0, NO_BIT, 0),
	ROW(SET_BACKEND_REQ_FD, RAW_ACK, 8, 0, 0, 1, 1, 5, RAW_NACK),
	ROW(GET_CONFIG, RAW_REPLY, 28, 12, 268, 0, 0, 9, RAW_EMPTY),
	ROW(SET_CONFIG, RAW_NACK, 8, 12, 268, 0, 0, 9, RAW_NACK), /* nothing is writable */
	ROW(RESET_DEVICE, RAW_ACK, 8, 0, 0, 0, 0, 13, RAW_NACK),
	ROW(GET_MAX_MEM_SLOTS, RAW_NACK, 8, 0, 0, 0, 0, 15, RAW_EMPTY),
	ROW(ADD_MEM_REG, RAW_ACK, 8, 40, 40, 1, 1, 15, RAW_NACK),
	ROW(REM_MEM_REG, RAW_NACK, 8, 40, 40, 0, 1, 15, RAW_NACK), /* there is none yet */
	ROW(SET_STATUS, RAW_ACK, 8, 8, 8, 0, 0, 16, RAW_NACK),
	ROW(GET_STATUS, RAW_ACK, 8, 0, 0, 0, 0, 16, RAW_EMPTY), /* it is 0 */
	ROW(GET_SHMEM_CONFIG, RAW_REPLY, 0x808, 0, 0, 0, 0, 22, RAW_EMPTY),
#define NOT_OFFERED(name, answer) ROW(name, answer, 0, 0, 0x808, 0, 8, NO_BIT, 0)
	/* not offered, acknowledged if asked */
	ROW(SET_LOG_BASE, RAW_NACK, 8, 8, 16, 0, 1, NO_BIT, 0), /* test_migration.c offers it */
	NOT_OFFERED(SET_LOG_FD, RAW_NACK),
	NOT_OFFERED(SEND_RARP, RAW_NACK),
	NOT_OFFERED(NET_SET_MTU, RAW_NACK),
	NOT_OFFERED(IOTLB_MSG, RAW_NACK),
	NOT_OFFERED(SET_VRING_ENDIAN, RAW_NACK),
	NOT_OFFERED(CLOSE_CRYPTO_SESSION, RAW_NACK),
	NOT_OFFERED(POSTCOPY_LISTEN, RAW_NACK),
	NOT_OFFERED(SET_INFLIGHT_FD, RAW_NACK),
	NOT_OFFERED(GPU_SET_SOCKET, RAW_NACK),
	NOT_OFFERED(VRING_KICK, RAW_NACK),
	/* not offered, with an answer of their own */
	NOT_OFFERED(CREATE_CRYPTO_SESSION, RAW_EMPTY),
	NOT_OFFERED(POSTCOPY_ADVISE, RAW_EMPTY),
	NOT_OFFERED(POSTCOPY_END, RAW_EMPTY),
	NOT_OFFERED(GET_INFLIGHT_FD, RAW_EMPTY),
	NOT_OFFERED(GET_SHARED_OBJECT, RAW_EMPTY),
	ROW(SET_DEVICE_STATE_FD, RAW_EMPTY, 0, 8, 8, 1, 1, NO_BIT, 0),
	ROW(CHECK_DEVICE_STATE, RAW_EMPTY, 0, 0, 0, 0, 0, NO_BIT, 0),
	/* not in the specification */
	{ 0, "0", RAW_NACK, 0, 0, 0x808, 0, 8, NO_BIT, 0 },
	{ 45, "45", RAW_NACK, 0, 0, 0x808, 0, 8, NO_BIT, 0 },
	{ UINT32_MAX, "the last", RAW_NACK, 0, 0, 0x808, 0, 8, NO_BIT, 0 },
	/* clang-format on */
};

static void start(struct raw *r, uint64_t protocol)
{
	raw_open(r, &d);
	raw_negotiate(r, protocol);
}

static void test_table_is_complete(void)
{
	for (uint32_t request = 0; request <= 45; request++) {
		unsigned n = 0;

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			n += rows[i].request == request;
		CHECK_EQ("rows of a message", n, 1);
	}
}

static bool has_own_reply(const struct row *row)
{
	return row->answer == RAW_EMPTY || row->answer == RAW_REPLY ||
	       !strncmp(row->name, "GET_", 4);
}

static void test_right_use(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct front_msg m;
		struct raw r;

		start(&r, RAW_PROTOCOL_BITS);
		raw_fill(&r, row->request, &m);
		m.hdr.flags = RAW_NEED_ACK;
		CHECK_EQ(row->name, raw_call(&r, &m), row->answer);
		if (row->reply_size)
			CHECK_EQ(row->name, r.reply.hdr.size, row->reply_size);
		m.hdr.flags = VHOST_USER_VERSION; /* the same again, without an acknowledgement */
		CHECK_EQ(row->name, raw_call(&r, &m) == RAW_SILENT, !has_own_reply(row));
		raw_close(&r);
	}
}

/* Without the protocol feature a message is refused, and nothing is acknowledged. */
static void test_not_negotiated(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct front_msg m;
		struct raw r;

		start(&r, (uint64_t)1 << VHOST_USER_PROTOCOL_F_REPLY_ACK);
		raw_fill(&r, row->request, &m);
		m.hdr.flags = RAW_NEED_ACK;
		CHECK_EQ(row->name, raw_call(&r, &m),
			 row->needs == NO_BIT ? row->answer : row->not_offered);
		raw_close(&r);

		start(&r, 0);
		raw_fill(&r, row->request, &m);
		m.hdr.flags = RAW_NEED_ACK;
		if (row->request != VHOST_USER_SET_PROTOCOL_FEATURES) /* it may turn it on */
			CHECK_EQ(row->name, raw_call(&r, &m) == RAW_SILENT, !has_own_reply(row));
		raw_close(&r);
	}
}

/* What users get who do not ask for memory slots. */
static void test_offers_without_slots(void)
{
	const uint64_t slots = (uint64_t)1 << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
	struct daemon other = { 0 };
	struct front_msg m = { 0 };
	struct raw r;

	daemon_start(&other, &(struct daemon_opts){ .no_slots = true });
	raw_open(&r, &other);
	raw_fill(&r, VHOST_USER_GET_PROTOCOL_FEATURES, &m);
	raw_call(&r, &m);
	CHECK_EQ("protocol features", r.reply.p.u64, RAW_PROTOCOL_BITS & ~slots);
	m.p.u64 = RAW_PROTOCOL_BITS;
	m.hdr = (struct vhost_user_hdr){ VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_VERSION,
					 sizeof(m.p.u64) };
	raw_call(&r, &m);
	raw_fill(&r, VHOST_USER_GET_MAX_MEM_SLOTS, &m);
	CHECK_EQ("refused", raw_call(&r, &m), RAW_EMPTY);
	raw_close(&r);
	daemon_stop(&other);
}

static void test_offers(void)
{
	struct front_msg m = { 0 };
	struct raw r;

	raw_open(&r, &d);
	raw_fill(&r, VHOST_USER_GET_FEATURES, &m);
	raw_call(&r, &m);
	CHECK_EQ("features", r.reply.p.u64, RAW_FEATURES);
	raw_fill(&r, VHOST_USER_GET_PROTOCOL_FEATURES, &m);
	raw_call(&r, &m);
	CHECK_EQ("protocol features", r.reply.p.u64, RAW_PROTOCOL_BITS);
	raw_negotiate(&r, RAW_PROTOCOL_BITS);
	raw_fill(&r, VHOST_USER_GET_QUEUE_NUM, &m);
	raw_call(&r, &m);
	CHECK_EQ("queues", r.reply.p.u64, 1);
	raw_fill(&r, VHOST_USER_GET_MAX_MEM_SLOTS, &m);
	raw_call(&r, &m);
	CHECK_NAMED("memory slots", r.reply.p.u64 >= 32);
	raw_fill(&r, VHOST_USER_GET_SHMEM_CONFIG, &m);
	raw_call(&r, &m);
	CHECK_EQ("regions", r.reply.p.shmem.nregions, 1);
	CHECK_EQ("region 0", r.reply.p.shmem.sizes[0], DAEMON_IMAGE_SIZE);
	raw_fill(&r, VHOST_USER_SET_STATUS, &m);
	raw_call(&r, &m);
	raw_fill(&r, VHOST_USER_GET_STATUS, &m);
	raw_call(&r, &m);
	CHECK_EQ("status kept", r.reply.p.u64, 8);
	raw_fill(&r, VHOST_USER_SET_STATUS, &m);
	m.p.u64 = 0;
	raw_call(&r, &m);
	raw_fill(&r, VHOST_USER_GET_STATUS, &m);
	raw_call(&r, &m);
	CHECK_EQ("status after reset", r.reply.p.u64, 0);
	raw_close(&r);
}

static void test_wrong_sizes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		const uint32_t sizes[] = { 0,
					   row->size_min - 1, /* 0 becomes huge */
					   row->size_max + 1,
					   0x808,
					   0x809,
					   FRONT_PAYLOAD_MAX,
					   0x10000,
					   INT32_MAX,
					   UINT32_MAX };

		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			bool lives = sizes[s] >= row->size_min && sizes[s] <= row->size_max;
			struct front_msg m;
			struct raw r;

			start(&r, RAW_PROTOCOL_BITS);
			raw_fill(&r, row->request, &m);
			m.hdr.size = sizes[s];
			m.hdr.flags = RAW_NEED_ACK;
			CHECK_EQ(row->name, raw_call(&r, &m) != RAW_CLOSED, lives);
			raw_close(&r);
		}
	}
}

static void test_wrong_fds(void)
{
	static const unsigned counts[] = { 0, 1, 2, 7, 8, 9, 16, 64 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t n = 0; n < ARRAY_SIZE(counts); n++) {
			const struct row *row = &rows[i];
			bool lives = counts[n] >= row->fds_min && counts[n] <= row->fds_max;
			struct front_msg m;
			struct raw r;

			start(&r, RAW_PROTOCOL_BITS);
			raw_fill(&r, row->request, &m);
			m.hdr.flags = RAW_NEED_ACK;
			CHECK_EQ(row->name, raw_call_fds(&r, &m, counts[n]) != RAW_CLOSED, lives);
			raw_close(&r);
		}
	}
}

static void test_wrong_flags(void)
{
	static const uint32_t flags[] = { 0, 2, 3, VHOST_USER_VERSION | VHOST_USER_F_REPLY };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (size_t n = 0; n < ARRAY_SIZE(flags); n++) {
			struct front_msg m;
			struct raw r;

			start(&r, RAW_PROTOCOL_BITS);
			raw_fill(&r, rows[i].request, &m);
			m.hdr.flags = flags[n];
			CHECK_EQ(rows[i].name, raw_call(&r, &m), RAW_CLOSED);
			raw_close(&r);
		}
	}
}

/* Well-formed messages with values that make no sense. */
#define MSG(req, ...)                                                          \
	{                                                                      \
		.hdr = { VHOST_USER_##req, RAW_NEED_ACK, 0 }, .p = __VA_ARGS__ \
	}
#define REGION(...)                           \
	{                                     \
		.reg.region = { __VA_ARGS__ } \
	}

static const struct {
	const char *name;
	struct front_msg m; /* size and descriptors as raw_fill() says */
	enum raw_outcome answer;
} bad_values[] = {
	{ "feature not offered", MSG(SET_FEATURES, { .u64 = RAW_FEATURES | 1u << 1 }), RAW_NACK },
	{ "protocol bit 21", MSG(SET_PROTOCOL_FEATURES, { .u64 = 1u << 21 }), RAW_NACK },
	{ "ring of 0", MSG(SET_VRING_NUM, { .state = { 0, 0 } }), RAW_NACK },
	{ "ring of 3", MSG(SET_VRING_NUM, { .state = { 0, 3 } }), RAW_NACK },
	{ "ring of 65536", MSG(SET_VRING_NUM, { .state = { 0, 65536 } }), RAW_NACK },
	{ "ring of 32768", MSG(SET_VRING_NUM, { .state = { 0, 32768 } }), RAW_ACK },
	{ "size of queue 1", MSG(SET_VRING_NUM, { .state = { 1, 16 } }), RAW_NACK },
	{ "base of queue 1", MSG(SET_VRING_BASE, { .state = { 1, 0 } }), RAW_NACK },
	{ "base 65536", MSG(SET_VRING_BASE, { .state = { 0, 65536 } }), RAW_NACK },
	{ "base 65535", MSG(SET_VRING_BASE, { .state = { 0, 65535 } }), RAW_ACK },
	{ "stop queue 1", MSG(GET_VRING_BASE, { .state = { 1, 0 } }), RAW_CLOSED },
	{ "stop queue -1", MSG(GET_VRING_BASE, { .state = { UINT32_MAX, 0 } }), RAW_CLOSED },
	{ "enable queue 1", MSG(SET_VRING_ENABLE, { .state = { 1, 1 } }), RAW_NACK },
	{ "enable with 2", MSG(SET_VRING_ENABLE, { .state = { 0, 2 } }), RAW_NACK },
	{ "address of queue 1", MSG(SET_VRING_ADDR, { .addr = { .index = 1 } }), RAW_NACK },
	{ "kick of queue 1", MSG(SET_VRING_KICK, { .u64 = 1 }), RAW_NACK },
	{ "call of queue 255", MSG(SET_VRING_CALL, { .u64 = 255 }), RAW_NACK },
	{ "no kick, but one is there", MSG(SET_VRING_KICK, { .u64 = 0x100 }), RAW_CLOSED },
	{ "no call, but one is there", MSG(SET_VRING_CALL, { .u64 = 0x100 }), RAW_CLOSED },
	{ "no err, but one is there", MSG(SET_VRING_ERR, { .u64 = 0x100 }), RAW_CLOSED },
	{ "status 256", MSG(SET_STATUS, { .u64 = 256 }), RAW_NACK },
	{ "config past the end", MSG(GET_CONFIG, { .config = { 1, 16, 0, { 0 } } }), RAW_EMPTY },
	{ "config that wraps", MSG(GET_CONFIG, { .config = { UINT32_MAX, 16, 0, { 0 } } }),
	  RAW_EMPTY },
	{ "config of another size", MSG(GET_CONFIG, { .config = { 0, 8, 0, { 0 } } }), RAW_EMPTY },
	{ "empty region", MSG(ADD_MEM_REG, REGION(0, 0, RAW_UVA, 0)), RAW_NACK },
	{ "region that wraps", MSG(ADD_MEM_REG, REGION(UINT64_MAX - 4095, 8192, RAW_UVA, 0)),
	  RAW_NACK },
	{ "region whose address wraps", MSG(ADD_MEM_REG, REGION(0, 8192, UINT64_MAX - 4095, 0)),
	  RAW_NACK },
	{ "region whose offset wraps", MSG(ADD_MEM_REG, REGION(0, 8192, RAW_UVA, UINT64_MAX)),
	  RAW_NACK },
	{ "removal of none", MSG(REM_MEM_REG, REGION(0, 4096, RAW_UVA, 0)), RAW_NACK },
	{ "9 regions", MSG(SET_MEM_TABLE, { .table = { .nregions = 9 } }), RAW_CLOSED },
	{ "2^32-1 regions", MSG(SET_MEM_TABLE, { .table = { .nregions = UINT32_MAX } }),
	  RAW_CLOSED },
	{ "0 regions, 1 descriptor", MSG(SET_MEM_TABLE, { .table = { .nregions = 0 } }),
	  RAW_CLOSED },
	{ "2 regions, 1 descriptor", MSG(SET_MEM_TABLE, { .table = { .nregions = 2 } }),
	  RAW_CLOSED },
};

static void test_bad_values(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		struct front_msg m = bad_values[i].m, like;
		struct raw r;

		start(&r, RAW_PROTOCOL_BITS);
		raw_fill(&r, m.hdr.request, &like);
		m.hdr.size = like.hdr.size;
		m.nfds = like.nfds;
		m.fds[0] = like.fds[0];
		CHECK_EQ(bad_values[i].name, raw_call(&r, &m), bad_values[i].answer);
		raw_close(&r);
	}
}

/* A refused region leaves the table as it was; what was added can be removed, once. */
static void test_regions(void)
{
	struct front_msg add, rem, table;
	struct raw r;

	start(&r, RAW_PROTOCOL_BITS);
	raw_fill(&r, VHOST_USER_ADD_MEM_REG, &add);
	raw_fill(&r, VHOST_USER_REM_MEM_REG, &rem);
	raw_fill(&r, VHOST_USER_SET_MEM_TABLE, &table);
	add.hdr.flags = rem.hdr.flags = table.hdr.flags = RAW_NEED_ACK;
	CHECK_EQ("add", raw_call(&r, &add), RAW_ACK);
	CHECK_EQ("add again", raw_call(&r, &add), RAW_NACK);
	add.p.reg.region.gpa = RAW_RAM - 4096;
	CHECK_EQ("add an overlap", raw_call(&r, &add), RAW_NACK);
	add.p.reg.region.gpa = RAW_RAM;
	CHECK_EQ("add behind", raw_call(&r, &add), RAW_ACK);
	rem.p.reg.region.size--;
	CHECK_EQ("remove a part", raw_call(&r, &rem), RAW_NACK);
	rem.p.reg.region.size++;
	CHECK_EQ("remove", raw_call(&r, &rem), RAW_ACK);
	CHECK_EQ("remove again", raw_call(&r, &rem), RAW_NACK);
	add.p.reg.region.gpa = 0;
	CHECK_EQ("and back", raw_call(&r, &add), RAW_ACK);
	CHECK_EQ("with a descriptor, as once specified", raw_call_fds(&r, &rem, 1), RAW_ACK);
	CHECK_EQ("a table replaces all", raw_call(&r, &table), RAW_ACK);
	add.p.reg.region.gpa = RAW_RAM;
	CHECK_EQ("so there is room", raw_call(&r, &add), RAW_ACK);
	raw_close(&r);
}

/* A front end that asks and does not listen is given up, not waited for. */
static void test_deaf_front_end(void)
{
	struct front_msg m;
	struct raw r;
	int ret = 0;

	start(&r, RAW_PROTOCOL_BITS);
	raw_fill(&r, VHOST_USER_GET_SHMEM_CONFIG, &m);
	for (int i = 0; i < 10000 && !ret; i++)
		ret = front_sock_send(r.sock, &m);
	CHECK_NAMED("given up", ret < 0);
	raw_close(&r);
}

int main(void)
{
	struct daemon_use before;
	struct raw r;

	daemon_start(&d, NULL);
	start(&r, RAW_PROTOCOL_BITS);
	raw_close(&r);
	CHECK(daemon_stat_becomes(&d, "connected", 0));
	before = daemon_use(&d);

	test_table_is_complete();
	test_offers();
	test_offers_without_slots();
	test_right_use();
	test_not_negotiated();
	test_wrong_sizes();
	test_wrong_fds();
	test_wrong_flags();
	test_bad_values();
	test_regions();
	test_deaf_front_end();

	CHECK(daemon_stat_becomes(&d, "connected", 0));
	CHECK_NAMED("nothing leaked", daemon_use_returns(&d, &before));
	CHECK_EQ("exit status", daemon_stop(&d), 0);
	return check_done();
}
