/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for the operator, one line each, on stderr. Any thread. */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_OFF = -1, /* only for log_set_level() */
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Messages above this level are dropped; LOG_LEVEL_INFO at start. */
void log_set_level(enum log_level level);

/*
 * Where messages go instead of stderr: each as a line without "vdax: " and without the newline.
 * NULL: stderr. While there is one thread.
 */
void log_set_sink(void (*sink)(enum log_level level, const char *line, size_t len));

/*
 * One line. Bytes that are not printable ASCII come out as \xNN, whoever chose them.
 *
 * obj names what the message is about ("pmem0", "pmem0/q0"), or NULL. No trailing newline in fmt.
 */
void log_msg(enum log_level level, const char *obj, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_err(obj, ...)   log_msg(LOG_LEVEL_ERR, obj, __VA_ARGS__)
#define log_warn(obj, ...)  log_msg(LOG_LEVEL_WARN, obj, __VA_ARGS__)
#define log_info(obj, ...)  log_msg(LOG_LEVEL_INFO, obj, __VA_ARGS__)
#define log_debug(obj, ...) log_msg(LOG_LEVEL_DEBUG, obj, __VA_ARGS__)

/* One per call site of log_guest(). */
struct log_limit {
	_Atomic uint64_t window; /* CLOCK_MONOTONIC seconds at which the current ten began */
	_Atomic uint32_t count;	 /* messages in it */
};

/* Is there room for one more? At most 5 in 10 s; says how many were dropped when it opens again. */
bool log_allowed(struct log_limit *limit, const char *obj);

/* A warning that a guest can cause: each call site is rate-limited. */
#define log_guest(obj, ...)                         \
	do {                                        \
		static struct log_limit log_limit_; \
		if (log_allowed(&log_limit_, obj))  \
			log_warn(obj, __VA_ARGS__); \
	} while (0)

#endif
