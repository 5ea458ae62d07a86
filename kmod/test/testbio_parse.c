// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of a request: "DEV OP FLAGS SECTOR LEN BYTE", and before a batch "HOW COUNT".
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include "testbio.h"

struct tb_word {
	const char *name;
	blk_opf_t value;
};

static const struct tb_word tb_ops[] = {
	{ "read", REQ_OP_READ },
	{ "write", REQ_OP_WRITE },
	{ "zeroes", REQ_OP_WRITE_ZEROES },
	{ "discard", REQ_OP_DISCARD },
};

static const struct tb_word tb_flags[] = {
	{ "none", 0 },	{ "preflush", REQ_PREFLUSH }, { "fua", REQ_FUA }, { "nowait", REQ_NOWAIT },
	{ "empty", 0 }, /* to be read by people: LEN is 0 */
};

static const struct tb_word tb_hows[] = {
	{ "async", (__force blk_opf_t)TB_ASYNC },
	{ "atomic", (__force blk_opf_t)TB_ATOMIC },
};

static int tb_find(const struct tb_word *words, unsigned int n, const char *name, blk_opf_t *value)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (strcmp(words[i].name, name))
			continue;
		*value |= words[i].value;
		return 0;
	}
	return -EINVAL;
}

/* Flags joined by "+". */
static int tb_find_flags(char *names, blk_opf_t *value)
{
	char *name;
	int ret = 0;

	while (!ret && (name = strsep(&names, "+")))
		ret = tb_find(tb_flags, ARRAY_SIZE(tb_flags), name, value);
	return ret;
}

static int tb_check(const struct tb_request *r)
{
	if (!r->count || r->count > TB_MAX_COUNT || r->length % SECTOR_SIZE)
		return -EINVAL;
	switch (r->opf & REQ_OP_MASK) {
	case REQ_OP_WRITE_ZEROES:
	case REQ_OP_DISCARD:
		return r->length ? 0 : -EINVAL;
	case REQ_OP_READ:
		return r->length && r->length <= TB_MAX_LENGTH ? 0 : -EINVAL;
	default:
		return r->length <= TB_MAX_LENGTH ? 0 : -EINVAL;
	}
}

/**
 * tb_parse() - understand "DEV OP FLAGS SECTOR LEN BYTE"
 * @text: the words
 * @r: the result, to be submitted once
 *
 * Return: 0 or -EINVAL.
 */
int tb_parse(const char *text, struct tb_request *r)
{
	char op[16], flags[32];
	unsigned int byte;
	int ret;

	r->how = TB_SYNC;
	r->count = 1;
	r->opf = 0;
	if (sscanf(text, "%47s %15s %31s %llu %u %i", r->path, op, flags, &r->sector, &r->length,
		   &byte) != 6 ||
	    byte > U8_MAX)
		return -EINVAL;
	r->byte = byte;
	ret = tb_find(tb_ops, ARRAY_SIZE(tb_ops), op, &r->opf);
	if (!ret)
		ret = tb_find_flags(flags, &r->opf);
	return ret ?: tb_check(r);
}

/**
 * tb_parse_batch() - understand "HOW COUNT" and then what tb_parse() does
 * @text: the words
 * @r: the result
 *
 * Return: 0 or -EINVAL.
 */
int tb_parse_batch(const char *text, struct tb_request *r)
{
	unsigned int count;
	blk_opf_t value = 0;
	char how[8];
	int used, ret;

	if (sscanf(text, "%7s %u %n", how, &count, &used) != 2)
		return -EINVAL;
	ret = tb_find(tb_hows, ARRAY_SIZE(tb_hows), how, &value);
	if (!ret)
		ret = tb_parse(text + used, r);
	if (ret)
		return ret;
	r->how = (__force enum tb_how)value;
	r->count = count;
	return tb_check(r);
}
