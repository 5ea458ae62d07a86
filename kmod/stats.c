// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the flush engine has done: /sys/block/vpmemN/vpmem/, and the latencies in debugfs, as they
 * are more than one value: /sys/kernel/debug/vpmem/vpmemN/latency.
 */
#include "stats.h"

#include <linux/debugfs.h>
#include <linux/seq_file.h>

static struct dentry *directory;

static struct vpmem_disk *disk_of(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

/* The engine's numbers change together, under its lock. */
static struct vpmem_group group_of(struct device *dev)
{
	struct vpmem_flush *flush = disk_of(dev)->flush;
	struct vpmem_group group;

	spin_lock_irq(&flush->lock);
	group = flush->group;
	spin_unlock_irq(&flush->lock);
	return group;
}

static ssize_t flushes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group_of(dev).flushes);
}
static DEVICE_ATTR_RO(flushes);

static ssize_t requests_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group_of(dev).requests);
}
static DEVICE_ATTR_RO(requests);

static ssize_t merged_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group_of(dev).merged);
}
static DEVICE_ATTR_RO(merged);

static ssize_t errors_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", group_of(dev).errors);
}
static DEVICE_ATTR_RO(errors);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct vpmem_group group = group_of(dev);

	if (group.error)
		return sysfs_emit(buf, "failed\n");
	return sysfs_emit(buf, "%s\n", group.held ? "suspended" : "running");
}
static DEVICE_ATTR_RO(state);

static struct attribute *attributes[] = {
	&dev_attr_flushes.attr, &dev_attr_requests.attr, &dev_attr_merged.attr,
	&dev_attr_errors.attr,	&dev_attr_state.attr,	 NULL,
};

static const struct attribute_group group = {
	.name = "vpmem",
	.attrs = attributes,
};

/* For device_add_disk(). */
const struct attribute_group *vpmem_stats_groups[] = {
	&group,
	NULL,
};

/* One line for each slot with something in it: an upper bound in microseconds, and how many. */
static int latency_show(struct seq_file *seq, void *unused)
{
	struct vpmem_disk *disk = seq->private;
	struct vpmem_flush *flush = disk->flush;
	struct vpmem_latency latency;
	unsigned int i;

	spin_lock_irq(&flush->lock);
	latency = flush->latency;
	spin_unlock_irq(&flush->lock);
	for (i = 0; i < VPMEM_LATENCY_SLOTS; i++)
		if (latency.slot[i])
			seq_printf(seq, "%lu %llu\n", BIT(i), latency.slot[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(latency);

/**
 * vpmem_stats_add() - the debugfs directory of a disk
 * @disk:	allocated
 *
 * Return: what debugfs_remove() takes before the disk is freed.
 */
struct dentry *vpmem_stats_add(struct vpmem_disk *disk)
{
	struct dentry *dentry = debugfs_create_dir(disk->gendisk->disk_name, directory);

	debugfs_create_file("latency", 0444, dentry, disk, &latency_fops);
	return dentry;
}

/**
 * vpmem_stats_init() - once, before the first disk
 */
void vpmem_stats_init(void)
{
	directory = debugfs_create_dir("vpmem", NULL);
}

/**
 * vpmem_stats_exit() - once, after the last disk
 */
void vpmem_stats_exit(void)
{
	debugfs_remove(directory);
}
