/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/log_syslog.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "host/fd.h"
#include "host/log.h"

static struct {
	int fd;
	const char *ident;
	int pid; /* the one that the caller knows: in a pid namespace we have another */
} out = { .fd = -1 };

/* RFC 3164, as local daemons read it. */
static void send_line(enum log_level level, const char *line, size_t len)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	time_t now = time(NULL);
	char buf[1200], when[32] = "";
	struct tm tm;
	int n;

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%b %e %T ", &tm);
	n = snprintf(buf, sizeof(buf), "<%d>%s%s[%d]: %.*s", LOG_DAEMON | priority[level], when,
		     out.ident, out.pid, (int)len, line);
	if (n > 0)
		send(out.fd, buf, MIN((size_t)n, sizeof(buf) - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int syslog_open(const char *ident)
{
	const struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int ret, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		ret = -errno;
		fd_close(&fd);
		return ret;
	}
	tzset(); /* reads a file, once */
	out.fd = fd;
	out.ident = ident;
	out.pid = (int)getpid();
	log_set_sink(send_line);
	return 0;
}

void syslog_close(void)
{
	log_set_sink(NULL);
	fd_close(&out.fd);
}
