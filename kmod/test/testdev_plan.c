// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plan: what happens to which request. And the log: what was seen when each one arrived.
 */
#include <linux/kernel.h>
#include <linux/string.h>
#include "testdev.h"

/* Milliseconds until a thread answers. */
#define TD_THREAD_DELAY 5

static const struct td_action td_actions[] = {
	{ "ok" }, /* the first: what is not in the plan */
	{ "error", 1 },
	{ "error-1", U32_MAX },
	{ "short", 0, TD_SHORT },
	{ "stall", 0, TD_STALL },
	{ "delay" }, /* as "delay-MS" */
	{ "thread", 0, TD_THREAD },
	{ "bad-id", 0, TD_BAD_ID },
	{ "twice", 0, TD_TWICE },
	{ "needs-reset", 0, TD_NEVER | TD_NEEDS_RESET | TD_CONFIG },
	{ "silent-reset", 0, TD_NEVER | TD_NEEDS_RESET },
	{ "gone", 0, TD_GONE },
	{ "gone-silent", 0, TD_STALL | TD_GONE },
	{ "gone-surprise", 0, TD_NEVER | TD_GONE | TD_BREAK },
};

/* What can be done without a request. */
#define TD_IDLE (TD_BAD_ID | TD_TWICE | TD_NEEDS_RESET | TD_GONE)

/* What happens to the requests of a device that needs a reset. */
const struct td_action td_dead = { "dead", 0, TD_NEVER };

struct td_step {
	const struct td_action *action; /* NULL: not in use */
	unsigned int number;
	unsigned int delay; /* milliseconds */
};

static struct td_step td_steps[TD_PLAN_SIZE];
static struct td_record td_records[TD_LOG_SIZE];
static unsigned int td_recorded;

static const struct td_action *td_find(const char *name, unsigned int *delay)
{
	const size_t prefix = strlen("delay-");
	unsigned int i;

	if (!strncmp(name, "delay-", prefix))
		return kstrtouint(name + prefix, 10, delay) ? NULL : td_find("delay", &i);
	for (i = 0; i < ARRAY_SIZE(td_actions); i++)
		if (!strcmp(name, td_actions[i].name))
			break;
	if (i == ARRAY_SIZE(td_actions))
		return NULL;
	*delay = td_actions[i].flags & TD_THREAD ? TD_THREAD_DELAY : 0;
	return &td_actions[i];
}

static int td_step_add(const struct td_step *step)
{
	unsigned long flags;
	int ret = -ENOSPC;
	unsigned int i;

	spin_lock_irqsave(&td_lock, flags);
	for (i = 0; ret && i < TD_PLAN_SIZE; i++) {
		if (td_steps[i].action)
			continue;
		td_steps[i] = *step;
		td_steps[i].number += td_counts.requests;
		ret = 0;
	}
	spin_unlock_irqrestore(&td_lock, flags);
	return ret;
}

/**
 * td_plan_add() - plan an action
 * @name: of the action
 * @after: it is for the request with this number, where 1 is the next; 0 is now
 * @delay: milliseconds until the answer; 0: as the action has it
 * @now: set to the action if @after is 0, else to NULL
 *
 * Return: 0, -EINVAL for an unknown action or one that needs a request, -ENOSPC.
 */
int td_plan_add(const char *name, unsigned int after, unsigned int delay,
		const struct td_action **now)
{
	struct td_step step = { .number = after };

	*now = NULL;
	step.action = td_find(name, &step.delay);
	if (!step.action)
		return -EINVAL;
	if (delay)
		step.delay = delay;
	if (after)
		return td_step_add(&step);
	if (!(step.action->flags & TD_IDLE))
		return -EINVAL;
	*now = step.action;
	return 0;
}

/**
 * td_plan_clear() - forget what is planned
 */
void td_plan_clear(void)
{
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	memset(td_steps, 0, sizeof(td_steps));
	spin_unlock_irqrestore(&td_lock, flags);
}

/**
 * td_plan_take() - what happens to the request that was just counted
 * @delay: set to the milliseconds until the answer, if there are to be any
 *
 * Context: td_lock is held.
 * Return: the action, which is not planned any more.
 */
const struct td_action *td_plan_take(unsigned int *delay)
{
	const struct td_action *action = &td_actions[0];
	unsigned int i;

	for (i = 0; i < TD_PLAN_SIZE; i++) {
		if (!td_steps[i].action || td_steps[i].number != td_counts.requests)
			continue;
		action = td_steps[i].action;
		*delay = td_steps[i].delay;
		td_steps[i].action = NULL;
	}
	return action;
}

/**
 * td_log_add() - remember a request
 * @record: copied; the oldest one is forgotten when there is no room
 *
 * Context: td_lock is held.
 */
void td_log_add(const struct td_record *record)
{
	td_records[td_recorded++ % TD_LOG_SIZE] = *record;
}

/**
 * td_log_clear() - forget all requests
 */
void td_log_clear(void)
{
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	td_recorded = 0;
	spin_unlock_irqrestore(&td_lock, flags);
}

/**
 * td_log_copy() - what is remembered, the oldest first
 * @records: TD_LOG_SIZE of them
 *
 * Return: how many were copied.
 */
unsigned int td_log_copy(struct td_record *records)
{
	unsigned int n, i, first;
	unsigned long flags;

	spin_lock_irqsave(&td_lock, flags);
	n = min_t(unsigned int, td_recorded, TD_LOG_SIZE);
	first = td_recorded - n;
	for (i = 0; i < n; i++)
		records[i] = td_records[(first + i) % TD_LOG_SIZE];
	spin_unlock_irqrestore(&td_lock, flags);
	return n;
}
