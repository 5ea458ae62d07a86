// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/vpmem_testdev: one file for each thing that can be said or asked.
 *
 *	plan	"ACTION N [MS]" lines: for the N-th request from now, which is answered after
 *		MS milliseconds; N = 0: at once, without a request. "clear" forgets what is planned.
 *	release	late answers to all that is stalled
 *	watch	the place in the range whose byte is recorded when a request arrives
 *	log	one line for each request; a write clears it
 *	counts	since the module was loaded
 *	create, destroy, freeze, restore	the life of the device
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "testdev.h"

#define TD_MAX_LINES 1024 /* bytes of one write */

static struct dentry *td_dir;

/* Each write calls a function with its text, which it may change. */
struct td_file {
	const char *name;
	int (*write)(char *text);
	int (*show)(struct seq_file *s, void *unused);
};

static int td_plan_line(char *line)
{
	const struct td_action *now;
	unsigned int after, delay = 0;
	char name[24];
	int ret;

	if (!strcmp(line, "clear")) {
		td_plan_clear();
		return 0;
	}
	if (sscanf(line, "%23s %u %u", name, &after, &delay) < 2)
		return -EINVAL;
	ret = td_plan_add(name, after, delay, &now);
	if (ret || !now)
		return ret;
	return td_with_device(td_idle_action, now);
}

static int td_plan_write(char *text)
{
	char *line;
	int ret = 0;

	while (!ret && (line = strsep(&text, "\n")))
		if (*line)
			ret = td_plan_line(line);
	return ret;
}

static int td_watch_write(char *text)
{
	u64 offset;
	int ret = kstrtou64(strim(text), 0, &offset);

	if (ret)
		return ret;
	if (!td_in_range(offset))
		return -ERANGE;
	td_watch = offset;
	return 0;
}

static int td_watch_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "0x%llx\n", td_watch);
	return 0;
}

static int td_log_write(char *text)
{
	td_log_clear();
	return 0;
}

static int td_log_show(struct seq_file *s, void *unused)
{
	struct td_record *records = kcalloc(TD_LOG_SIZE, sizeof(*records), GFP_KERNEL);
	unsigned int i, n;

	if (!records)
		return -ENOMEM;
	n = td_log_copy(records);
	for (i = 0; i < n; i++)
		seq_printf(s, "%u byte=%02x depth=%u action=%s indirect=%u malformed=%u\n",
			   records[i].number, records[i].byte, records[i].depth,
			   records[i].action->name, records[i].indirect, records[i].malformed);
	kfree(records);
	return 0;
}

static int td_counts_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "requests=%u answered=%u spurious=%u malformed=%u stray=%u ",
		   td_counts.requests, td_counts.answered, td_counts.spurious, td_counts.malformed,
		   td_counts.stray);
	seq_printf(s, "max_depth=%u resets=%u created=%u exists=%u\n", td_counts.max_depth,
		   td_counts.resets, td_counts.created, td_exists());
	return 0;
}

static int td_release_write(char *text)
{
	return td_with_device(td_release_stalled, NULL);
}

static int td_create_write(char *text)
{
	return td_create();
}

static int td_destroy_write(char *text)
{
	return td_destroy();
}

static int td_freeze_write(char *text)
{
	return td_freeze();
}

static int td_restore_write(char *text)
{
	return td_restore();
}

static const struct td_file td_files[] = {
	{ "plan", td_plan_write },
	{ "release", td_release_write },
	{ "watch", td_watch_write, td_watch_show },
	{ "log", td_log_write, td_log_show },
	{ "counts", NULL, td_counts_show },
	{ "create", td_create_write },
	{ "destroy", td_destroy_write },
	{ "freeze", td_freeze_write },
	{ "restore", td_restore_write },
};

static int td_show_nothing(struct seq_file *s, void *unused)
{
	return 0;
}

static int td_open(struct inode *inode, struct file *file)
{
	const struct td_file *f = inode->i_private;

	return single_open(file, f->show ?: td_show_nothing, (void *)f);
}

static ssize_t td_write(struct file *file, const char __user *data, size_t count, loff_t *pos)
{
	const struct td_file *f = ((struct seq_file *)file->private_data)->private;
	char *text;
	int ret;

	if (!f->write)
		return -EPERM;
	if (count > TD_MAX_LINES)
		return -E2BIG;
	text = memdup_user_nul(data, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	ret = f->write(text);
	kfree(text);
	return ret ?: count;
}

static const struct file_operations td_fops = {
	.owner = THIS_MODULE,
	.open = td_open,
	.read = seq_read,
	.write = td_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * td_debugfs_init() - make the files
 *
 * Return: 0, or an error: without them the module is of no use.
 */
int td_debugfs_init(void)
{
	unsigned int i;

	td_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	if (IS_ERR(td_dir))
		return PTR_ERR(td_dir);
	for (i = 0; i < ARRAY_SIZE(td_files); i++)
		debugfs_create_file(td_files[i].name, 0600, td_dir, (void *)&td_files[i], &td_fops);
	return 0;
}

/**
 * td_debugfs_exit() - remove the files
 *
 * Waits for writes that are under way.
 */
void td_debugfs_exit(void)
{
	debugfs_remove_recursive(td_dir);
}
