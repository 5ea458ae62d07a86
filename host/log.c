/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"

#define LIMIT_SECONDS 10u
#define LIMIT_BURST   5u

static _Atomic int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	max_level = (int)level;
}

static void (*other_sink)(enum log_level level, const char *line, size_t len);

void log_set_sink(void (*sink)(enum log_level level, const char *line, size_t len))
{
	other_sink = sink;
}

/*
 * Copies text[n] into line[max], which becomes so many bytes. What is not printable ASCII becomes
 * \xNN: a guest can choose some of it (file names), and the reader may be a terminal.
 */
static size_t printable(char *line, size_t max, const char *text, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c <= '~') {
			if (len == max)
				break;
			line[len++] = (char)c;
		} else {
			if (max - len < 4)
				break;
			line[len++] = '\\';
			line[len++] = 'x';
			line[len++] = hex[c >> 4];
			line[len++] = hex[c & 15];
		}
	}
	return len;
}

void log_msg(enum log_level level, const char *obj, const char *fmt, ...)
{
	static const char *const prefix[] = { "error: ", "warning: ", "", "debug: " };
	static const int name_len = sizeof("vdax: ") - 1;
	char text[1024];
	char line[1024]; /* one write(), so that lines of two threads never mix */
	va_list ap;
	size_t len;
	int n, m;

	if ((int)level > max_level)
		return;
	n = snprintf(text, sizeof(text), "vdax: %s%s%s", obj ? obj : "", obj ? ": " : "",
		     prefix[level]);
	n = MIN(n, (int)sizeof(text) - 2);
	va_start(ap, fmt);
	m = vsnprintf(text + n, sizeof(text) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = MIN(n + MAX(m, 0), (int)sizeof(text) - 2);
	len = printable(line, sizeof(line) - 2, text, (size_t)n);
	if (other_sink) {
		other_sink(level, line + name_len, len - (size_t)name_len);
		return;
	}
	line[len] = '\n';
	if (write(STDERR_FILENO, line, len + 1) < 0)
		return; /* nowhere left to say it */
}

bool log_allowed(struct log_limit *limit, const char *obj)
{
	uint64_t sec = clock_ns() / NS_PER_S + 1; /* 0 = never used */
	uint64_t begin = limit->window;

	if (!begin || sec - begin >= LIMIT_SECONDS) {
		if (atomic_compare_exchange_strong(&limit->window, &begin, sec)) {
			uint32_t count = atomic_exchange(&limit->count, 0);

			if (count > LIMIT_BURST)
				log_warn(obj, "%u more messages like the next one were dropped",
					 count - LIMIT_BURST);
		}
	}
	return atomic_fetch_add(&limit->count, 1) < LIMIT_BURST;
}
