/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/dirty.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/align.h"
#include "base/macros.h"
#include "base/range.h"
#include "virtio/fault.h"

static struct dirty_log *log_new(void *addr, uint64_t map_len, uint8_t *bits, uint64_t len)
{
	struct dirty_log *log = malloc(sizeof(*log));

	if (log)
		*log = (struct dirty_log){
			.refs = 1, .bits = bits, .len = len, .addr = addr, .map_len = map_len
		};
	return log;
}

int dirty_open(int fd, uint64_t off, uint64_t len, struct dirty_log **out)
{
	uint64_t begin = align_down(off, (uint64_t)sysconf(_SC_PAGESIZE));
	uint64_t map_len = len + (off - begin);
	struct stat st;
	void *addr;

	/* As with guest memory: a page past the end of the file would fault. */
	if (!len || !range_ok(off, len, INT64_MAX) || map_len > SIZE_MAX)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && off + len > (uint64_t)st.st_size)
		return -EINVAL;
	addr = mmap(NULL, (size_t)map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)begin);
	if (addr == MAP_FAILED)
		return -errno;
	*out = log_new(addr, map_len, (uint8_t *)addr + (off - begin), len);
	if (*out)
		return 0;
	munmap(addr, (size_t)map_len);
	return -ENOMEM;
}

struct dirty_log *dirty_over(void *bits, uint64_t len)
{
	return log_new(NULL, 0, bits, len);
}

struct dirty_log *dirty_get(struct dirty_log *log)
{
	if (log)
		log->refs++;
	return log;
}

void dirty_put(struct dirty_log *log)
{
	if (!log || --log->refs)
		return;
	if (log->addr)
		munmap(log->addr, (size_t)log->map_len);
	free(log);
}

struct mark {
	uint8_t *bits;
	uint64_t first, last; /* pages */
};

static int mark_guarded(void *arg)
{
	const struct mark *m = arg;

	for (uint64_t page = m->first; page <= m->last;) {
		uint64_t end = MIN(page | 7, m->last); /* the last page in this byte */
		unsigned n = (unsigned)(end - page) + 1;
		uint8_t mask = (uint8_t)(((1u << n) - 1) << (page % 8));
		uint8_t *byte = &m->bits[page / 8];

		/* A fault, if there is one, here: the thread sanitizer holds a lock in the other.
		 */
		(void)__atomic_load_n(byte, __ATOMIC_RELAXED);
		/*
		 * A full fence, with the front end's exchange: it either sees what was written
		 * before, or leaves this bit set for its next look.
		 */
		__atomic_fetch_or(byte, mask, __ATOMIC_SEQ_CST);
		page = end + 1;
	}
	return 0;
}

int dirty_mark(struct dirty_log *log, uint64_t gpa, uint64_t len)
{
	uint64_t pages = log->len > UINT64_MAX / 8 ? UINT64_MAX : log->len * 8;
	struct mark m = { .bits = log->bits, .first = gpa >> DIRTY_PAGE_SHIFT };
	bool all;

	if (!len)
		return 0;
	if (!range_ok(gpa, len, UINT64_MAX) || m.first >= pages)
		return -ERANGE;
	m.last = (gpa + len - 1) >> DIRTY_PAGE_SHIFT;
	all = m.last < pages;
	m.last = MIN(m.last, pages - 1);
	if (fault_guard(mark_guarded, &m))
		return -EFAULT;
	return all ? 0 : -ERANGE;
}
