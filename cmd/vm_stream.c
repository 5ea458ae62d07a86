/* SPDX-License-Identifier: BSD-2-Clause */
#include "cmd/vm_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "host/fd.h"

int stream_open(struct stream *s, int to, int *other)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	*s = (struct stream){ .from = fds[0], .to = to };
	*other = fds[1];
	return fcntl(s->from, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

struct pollfd stream_pollfd(const struct stream *s)
{
	if (s->from < 0 || s->start == s->end)
		return (struct pollfd){ .fd = s->from, .events = POLLIN };
	return (struct pollfd){ .fd = s->to, .events = POLLOUT };
}

static bool is_dropped(const struct stream *s, const char *line, size_t len)
{
	for (const char *const *d = s->drop; *d; d++)
		if (memmem(line, len, *d, strlen(*d)))
			return true;
	return false;
}

/* Of the n bytes in buf, keeps the lines to write and holds back what is not a line yet. */
static void take_lines(struct stream *s, size_t n)
{
	size_t at = 0, line;
	const char *newline;

	while ((newline = memchr(s->buf + at, '\n', n - at))) {
		line = (size_t)(newline + 1 - (s->buf + at));
		if (!is_dropped(s, s->buf + at, line)) {
			memmove(s->buf + s->end, s->buf + at, line);
			s->end += line;
		}
		at += line;
	}
	memmove(s->buf + s->end, s->buf + at, n - at);
	s->held = n - at;
	if (s->held == sizeof(s->buf)) { /* whatever this is, it must go on */
		s->end = s->held;
		s->held = 0;
	}
}

static void stream_read(struct stream *s)
{
	ssize_t n;

	memmove(s->buf, s->buf + s->end, s->held);
	s->start = s->end = 0;
	n = read(s->from, s->buf + s->held, sizeof(s->buf) - s->held);
	if (n <= 0) {
		if (s->held && write(s->to, s->buf, s->held) < 0)
			s->to = -1;
		stream_close(s);
	} else if (s->drop) {
		take_lines(s, s->held + (size_t)n);
	} else if (s->to >= 0) {
		s->end = (size_t)n;
	}
}

int stream_move(struct stream *s)
{
	ssize_t n;

	if (s->start == s->end) {
		stream_read(s);
		return 0;
	}
	n = write(s->to, s->buf + s->start, s->end - s->start);
	if (n >= 0) {
		s->start += (size_t)n;
		return 0;
	}
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	s->to = -1;
	s->start = s->end;
	return -EPIPE;
}

void stream_close(struct stream *s)
{
	fd_close(&s->from);
	s->start = s->end = s->held = 0;
}
