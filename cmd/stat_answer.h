/* SPDX-License-Identifier: BSD-2-Clause */
/* What a control socket has answered, taken apart. docs/protocol.md lists the keys. */
#ifndef CMD_STAT_ANSWER_H
#define CMD_STAT_ANSWER_H

#include <stdint.h>

#define STAT_ANSWER_MAX	 (1u << 20) /* bytes; a longer answer is refused */
#define STAT_LINES_MAX	 512u
#define STAT_OPS_MAX	 64u
#define STAT_BUCKETS_MAX 64u

/* A line "key value" or "key.label value". */
struct stat_line {
	const char *key;
	const char *label; /* or NULL */
	const char *value;
};

/* The lines that have an opcode for their label. */
struct stat_op {
	const char *name;
	uint64_t requests, errors;
	uint64_t latency_sum_ns;
	uint64_t latency[STAT_BUCKETS_MAX]; /* measured requests by bucket */
};

struct stat_answer {
	char *text; /* owned; everything points into it */
	struct stat_line line[STAT_LINES_MAX];
	unsigned n_lines;
	struct stat_op op[STAT_OPS_MAX];
	unsigned n_ops;
	uint64_t bound_ns[STAT_BUCKETS_MAX]; /* where a bucket ends; the one after these does not */
	unsigned n_bounds;
	uint64_t time_ns; /* when it was made; 0: it tells nothing about rates */
};

/* Takes text (from malloc) in every case, and changes it. 0, or -EPROTO: not such an answer. */
int stat_answer_parse(struct stat_answer *a, char *text);
void stat_answer_free(struct stat_answer *a);

/* The value of a key without a label, or NULL. */
const char *stat_answer_find(const struct stat_answer *a, const char *key);

#endif
