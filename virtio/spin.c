/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio/spin.h"

#include "base/macros.h"
#include "host/fd.h"
#include "virtio/fault.h"
#include "virtio/split.h"

/* Between two looks at the clock: a look and a pause take 10 to 50 ns, the clock 30. */
#define LOOKS 16u

/* A pause before the next attempt that will probably be in vain, in bounds. */
#define PAUSE_BOUNDS 128u

#if defined(__x86_64__) || defined(__i386__)
#define cpu_relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ volatile("yield")
#else
#define cpu_relax() __asm__ volatile("" ::: "memory")
#endif

static int look_guarded(void *arg)
{
	const struct vq *vq = arg;

	for (unsigned i = 0; i < LOOKS; i++) {
		if (split_peek(vq))
			return 1;
		cpu_relax();
	}
	return 0;
}

static void learn(struct vq_habit *h, uint64_t sample)
{
	h->average_ns = h->average_ns - h->average_ns / 8 + sample / 8;
}

/* Has the ring not moved since the last attempt? Then this is no new occasion. */
static bool tried(const struct vq *vq)
{
	return vq->spin.at_avail == vq->next_avail && vq->spin.at_used == vq->next_used;
}

bool vq_spin(struct vq *vq)
{
	struct vq_spin *s = &vq->spin;
	struct vq_habit *h = &s->habit[vq->inflight != 0];
	uint64_t begin, now;
	int found;

	if (!s->max_ns || vq->broken || tried(vq))
		return false;
	begin = clock_ns();
	if (h->average_ns > s->max_ns && begin < h->retry_at)
		return false;
	do {
		found = fault_guard(look_guarded, vq);
		if (vq->stopping || vq->news)
			return true;
		now = clock_ns();
	} while (!found && now - begin < s->max_ns);
	if (found) { /* or a fault, which vq_pop() will find as well */
		learn(h, MIN(now - begin, (uint64_t)s->max_ns));
		s->hits++;
		return true;
	}
	learn(h, 2 * (uint64_t)s->max_ns);
	h->retry_at = now + PAUSE_BOUNDS * (uint64_t)s->max_ns;
	s->at_avail = vq->next_avail;
	s->at_used = vq->next_used;
	s->misses++;
	return false;
}
