/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the disk may hold after a power cut, while the image itself lives on in the page cache.
 *
 * Two copies of the image are kept. `started` is read from the live image after a sync has
 * been asked for and before the true one begins; when that has succeeded, `done` becomes equal
 * to it. A cut gives `done`, in which a random part of the pages and sectors that differ in the
 * live image now is replaced by what they are now.
 *
 * Why a power cut could leave just that. Let S be the last sync whose end was recorded before
 * the cut, s0 the time at which it was asked for, c0 and c1 the times at which the cut took the
 * lock and released it. After S, power loss or not, each sector on the disk is at least as new
 * as at s0: S had to write what was dirty then. It may be newer, up to the moment of the loss,
 * since the host may write back any page at any time, and in any order: a 4 KiB page is written
 * in sectors of 512 bytes, and each of those may or may not have arrived. So every image is
 * possible in which each sector is some version of itself between s0 and the loss. A cut is such
 * an image, for a loss at c1:
 *   - a sector from `done` was read after s0 (shadow_begin() runs inside of the sync), and
 *   - a sector from the live image was read before c1;
 *   - no sync later than S raises the lower bound: shadow_end() takes the lock, so none is
 *     recorded, hence none answered to the guest, between c0 and c1.
 * A page may change while it is read. So it may while a disk controller reads it: neither stops
 * the guest.
 *
 * Why nothing acknowledged may be missing from it. Whoever asks for a cut notes before what the
 * guest has reported. Behind each report is a flush that was answered, so a sync that was
 * recorded before c0: S or an earlier one, and that one was asked for after the flush had been
 * available. All that the guest had stored until then is in `done`.
 */
#ifndef TESTS_CRASH_SHADOW_H
#define TESTS_CRASH_SHADOW_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define SHADOW_PAGE   4096u
#define SHADOW_SECTOR 512u

struct shadow {
	const uint8_t *live; /* the image, mapped shared; borrowed */
	size_t pages;
	pthread_mutex_t lock; /* all below */
	uint8_t *started;
	uint8_t *done;
	uint8_t *fresh; /* for each page: started may differ from done */
	uint8_t *cut;	/* the image made last */
	uint64_t begun, ended;
};

/* What a cut consists of, in pages. */
struct shadow_cut {
	uint64_t syncs;	   /* recorded so far; the last of them is its base */
	uint64_t differed; /* between that base and the live image */
	uint64_t taken;	   /* of these: taken as they are now */
	uint64_t torn;	   /* of these: some of the sectors as they are now */
};

/* Takes the image as durable as it is. size is a multiple of SHADOW_PAGE. 0 or -errno. */
int shadow_init(struct shadow *s, const void *live, size_t size);
void shadow_fini(struct shadow *s);

/* Around one sync, by the one thread that syncs; shadow_end() only if it has succeeded. */
void shadow_begin(struct shadow *s);
void shadow_end(struct shadow *s);

/*
 * Makes a crash image in s->cut; any thread, but one at a time. Of seed the last two bits
 * choose how much that is newer than the base is in it: none, little, half, nearly all.
 */
void shadow_cut(struct shadow *s, uint64_t seed, struct shadow_cut *cut);

#endif
