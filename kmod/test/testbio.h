/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bios as user space cannot send them.
 *
 *	testbio_main.c	submits, waits, counts
 *	testbio_parse.c	the words of a request
 */
#ifndef VPMEM_TESTBIO_H
#define VPMEM_TESTBIO_H

#include <linux/blk_types.h>

#define TB_MAX_LENGTH (64 * 1024)
#define TB_MAX_COUNT  512
#define TB_PATH	      48

/* How the bios of a batch are submitted. */
enum tb_how {
	TB_SYNC,   /* one, with submit_bio_wait() */
	TB_ASYNC,  /* with submit_bio() */
	TB_ATOMIC, /* the driver's own submit_bio, with a spinlock held */
};

/**
 * struct tb_request - what is to be submitted
 * @path: of the block device
 * @how: in which way
 * @count: how many; the second begins where the first ends, and so on
 * @opf: operation and flags
 * @sector: of the first
 * @length: bytes of each; 0: an empty flush
 * @byte: what is written, or has to be read
 */
struct tb_request {
	char path[TB_PATH];
	enum tb_how how;
	unsigned int count;
	blk_opf_t opf;
	u64 sector;
	unsigned int length;
	u8 byte;
};

int tb_parse(const char *text, struct tb_request *r);
int tb_parse_batch(const char *text, struct tb_request *r);

#endif /* VPMEM_TESTBIO_H */
