// SPDX-License-Identifier: GPL-2.0-only
/*
 * vpmem_testbio: bios as user space cannot send them, in /sys/kernel/debug/vpmem_testbio.
 *
 *	submit	"DEV OP FLAGS SECTOR LEN BYTE": one bio; its error is the error of the write. A
 *		read is compared with BYTE (EILSEQ).
 *	batch	"HOW COUNT DEV OP FLAGS SECTOR LEN BYTE": COUNT bios, not waited for. HOW is async
 *		(submit_bio) or atomic: the driver's own submit_bio with a spinlock held, as the
 *		block layer itself says might_sleep().
 *	wait	"SECONDS": waits for all of them (ETIMEDOUT)
 *	clear	forgets them; EBUSY while one is pending
 *	result	counts, and a line for each bio that ended more than once
 *
 * A bio's memory stays until "clear", so that one which ends twice is noticed rather than a
 * use after free.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "compat.h"
#include "testbio.h"

#define TB_MAX_PAGES (TB_MAX_LENGTH / PAGE_SIZE)

struct tb_bio {
	struct bio bio;
	struct bio_vec vecs[TB_MAX_PAGES];
	unsigned int ended; /* tb_lock */
};

/* The bios of one request, and the pages that all of them write (or one reads). */
struct tb_batch {
	struct list_head list;
	struct test_bdev_handle *handle;
	struct tb_request request;
	struct page *pages[TB_MAX_PAGES];
	struct tb_bio *bios[];
};

/* Since the last "clear". */
struct tb_counts {
	unsigned int submitting; /* batches that are being submitted */
	unsigned int submitted, ended, twice;
	unsigned int errors[MAX_ERRNO + 1]; /* by errno; [0]: without one */
};

static DEFINE_MUTEX(tb_mutex); /* tb_batches */
static LIST_HEAD(tb_batches);
static DEFINE_SPINLOCK(tb_lock); /* tb_counts; also in interrupts */
static struct tb_counts tb_counts;
static DECLARE_WAIT_QUEUE_HEAD(tb_idle);
static DEFINE_SPINLOCK(tb_atomic); /* nothing; held where nobody may sleep */
static struct dentry *tb_dir;

static void tb_free(struct tb_batch *b)
{
	unsigned int i;

	for (i = 0; i < b->request.count; i++) {
		if (b->bios[i])
			bio_uninit(&b->bios[i]->bio);
		kfree(b->bios[i]);
	}
	for (i = 0; i < TB_MAX_PAGES; i++)
		if (b->pages[i])
			__free_page(b->pages[i]);
	if (!IS_ERR_OR_NULL(b->handle))
		test_bdev_close(b->handle);
	kfree(b);
}

static bool tb_has_data(const struct tb_request *r)
{
	return (r->opf & REQ_OP_MASK) == REQ_OP_READ || (r->opf & REQ_OP_MASK) == REQ_OP_WRITE;
}

/* A read begins with something else than what has to be read. */
static int tb_add_pages(struct tb_batch *b)
{
	const struct tb_request *r = &b->request;
	u8 byte = op_is_write(r->opf) ? r->byte : ~r->byte;
	unsigned int i;

	if (!tb_has_data(r))
		return 0;
	for (i = 0; i < DIV_ROUND_UP(r->length, PAGE_SIZE); i++) {
		b->pages[i] = alloc_page(GFP_KERNEL);
		if (!b->pages[i])
			return -ENOMEM;
		memset(page_address(b->pages[i]), byte, PAGE_SIZE);
	}
	return 0;
}

static void tb_add_data(struct tb_batch *b, struct bio *bio)
{
	unsigned int left = b->request.length, i;

	if (!tb_has_data(&b->request)) {
		bio->bi_iter.bi_size = left;
		return;
	}
	for (i = 0; left; i++) {
		unsigned int n = min_t(unsigned int, left, PAGE_SIZE);

		__bio_add_page(bio, b->pages[i], n, 0);
		left -= n;
	}
}

static int tb_add_bios(struct tb_batch *b)
{
	const struct tb_request *r = &b->request;
	unsigned int i;

	for (i = 0; i < r->count; i++) {
		struct tb_bio *tb = kzalloc(sizeof(*tb), GFP_KERNEL);

		if (!tb)
			return -ENOMEM;
		bio_init(&tb->bio, test_bdev(b->handle), tb->vecs, TB_MAX_PAGES, r->opf);
		tb->bio.bi_iter.bi_sector = r->sector + (u64)i * (r->length >> SECTOR_SHIFT);
		tb_add_data(b, &tb->bio);
		b->bios[i] = tb;
	}
	return 0;
}

static struct tb_batch *tb_new(const struct tb_request *r)
{
	struct tb_batch *b = kzalloc(struct_size(b, bios, r->count), GFP_KERNEL);
	int ret;

	if (!b)
		return ERR_PTR(-ENOMEM);
	b->request = *r;
	b->handle = test_bdev_open(r->path);
	ret = PTR_ERR_OR_ZERO(b->handle);
	if (!ret)
		ret = tb_add_pages(b);
	if (!ret)
		ret = tb_add_bios(b);
	if (!ret)
		return b;
	tb_free(b);
	return ERR_PTR(ret);
}

static int tb_compare(const struct tb_batch *b)
{
	unsigned int at;

	if ((b->request.opf & REQ_OP_MASK) != REQ_OP_READ)
		return 0;
	for (at = 0; at < b->request.length; at += PAGE_SIZE) {
		unsigned int n = min_t(unsigned int, b->request.length - at, PAGE_SIZE);

		if (memchr_inv(page_address(b->pages[at / PAGE_SIZE]), b->request.byte, n))
			return -EILSEQ;
	}
	return 0;
}

static int tb_submit_write(const char *text)
{
	struct tb_request r = { 0 };
	struct tb_batch *b;
	int ret = tb_parse(text, &r);

	if (ret)
		return ret;
	b = tb_new(&r);
	if (IS_ERR(b))
		return PTR_ERR(b);
	ret = submit_bio_wait(&b->bios[0]->bio);
	if (!ret)
		ret = tb_compare(b);
	tb_free(b);
	return ret;
}

/* End of a bio of a batch, in any context, and perhaps once too often. */
static void tb_end(struct bio *bio)
{
	struct tb_bio *tb = container_of(bio, struct tb_bio, bio);
	int error = -blk_status_to_errno(bio->bi_status);
	unsigned long flags;

	spin_lock_irqsave(&tb_lock, flags);
	if (tb->ended++) {
		tb_counts.twice++;
	} else {
		tb_counts.ended++;
		tb_counts.errors[clamp(error, 0, MAX_ERRNO)]++;
	}
	spin_unlock_irqrestore(&tb_lock, flags);
	wake_up(&tb_idle);
}

static void tb_submit_async(struct tb_batch *b)
{
	unsigned int i;

	for (i = 0; i < b->request.count; i++)
		submit_bio(&b->bios[i]->bio);
}

/*
 * What the block layer does around the driver's function, without its right to sleep: a disk that
 * is being removed takes no more bios.
 */
static void tb_submit_atomic(struct tb_batch *b)
{
	struct gendisk *disk = test_bdev(b->handle)->bd_disk;
	struct percpu_ref *usage = &disk->queue->q_usage_counter;
	unsigned int i;

	for (i = 0; i < b->request.count; i++) {
		struct bio *bio = &b->bios[i]->bio;

		if (!percpu_ref_tryget_live(usage)) {
			bio_io_error(bio);
			continue;
		}
		spin_lock(&tb_atomic);
		disk->fops->submit_bio(bio);
		spin_unlock(&tb_atomic);
		percpu_ref_put(usage);
	}
}

/* Partitions are mapped, and sizes checked, by what the atomic way leaves out. */
static bool tb_atomic_can(const struct tb_batch *b)
{
	const struct tb_request *r = &b->request;
	struct block_device *bdev = test_bdev(b->handle);
	u64 end = r->sector + (u64)r->count * (r->length >> SECTOR_SHIFT);

	return bdev == bdev->bd_disk->part0 && bdev->bd_disk->fops->submit_bio &&
	       end <= bdev_nr_sectors(bdev);
}

/* As long as a batch is being submitted it is not idle, so it stays. */
static void tb_count_submitting(int batches, unsigned int bios)
{
	unsigned long flags;

	spin_lock_irqsave(&tb_lock, flags);
	tb_counts.submitting += batches;
	tb_counts.submitted += bios;
	spin_unlock_irqrestore(&tb_lock, flags);
	wake_up(&tb_idle);
}

static int tb_batch_write(const char *text)
{
	struct tb_request r = { 0 };
	struct tb_batch *b;
	unsigned int i;
	int ret = tb_parse_batch(text, &r);

	if (ret)
		return ret;
	b = tb_new(&r);
	if (IS_ERR(b))
		return PTR_ERR(b);
	if (r.how == TB_ATOMIC && !tb_atomic_can(b)) {
		tb_free(b);
		return -EOPNOTSUPP;
	}
	for (i = 0; i < r.count; i++)
		b->bios[i]->bio.bi_end_io = tb_end;
	mutex_lock(&tb_mutex);
	list_add(&b->list, &tb_batches);
	tb_count_submitting(1, r.count);
	mutex_unlock(&tb_mutex);
	if (r.how == TB_ATOMIC)
		tb_submit_atomic(b);
	else
		tb_submit_async(b);
	tb_count_submitting(-1, 0);
	return 0;
}

static bool tb_is_idle(void)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&tb_lock, flags);
	idle = tb_counts.ended == tb_counts.submitted && !tb_counts.submitting;
	spin_unlock_irqrestore(&tb_lock, flags);
	return idle;
}

static int tb_wait_write(const char *text)
{
	unsigned int seconds;
	long ret;

	if (kstrtouint(text, 10, &seconds))
		return -EINVAL;
	ret = wait_event_interruptible_timeout(tb_idle, tb_is_idle(), seconds * HZ);
	if (ret < 0)
		return ret;
	return ret ? 0 : -ETIMEDOUT;
}

static int tb_clear(void)
{
	struct tb_batch *b, *next;
	int ret = -EBUSY;

	mutex_lock(&tb_mutex);
	if (!tb_is_idle())
		goto out;
	list_for_each_entry_safe(b, next, &tb_batches, list) {
		list_del(&b->list);
		tb_free(b);
	}
	spin_lock_irq(&tb_lock);
	memset(&tb_counts, 0, sizeof(tb_counts));
	spin_unlock_irq(&tb_lock);
	ret = 0;
out:
	mutex_unlock(&tb_mutex);
	return ret;
}

static int tb_clear_write(const char *text)
{
	return tb_clear();
}

static void tb_show_batch(struct seq_file *s, const struct tb_batch *b)
{
	unsigned int i, ended;

	for (i = 0; i < b->request.count; i++) {
		ended = READ_ONCE(b->bios[i]->ended);
		if (ended > 1)
			seq_printf(s, "bio %u of %s, sector %llu, ended %u times\n", i,
				   b->request.path, b->request.sector, ended);
	}
}

static int tb_result_show(struct seq_file *s, void *unused)
{
	struct tb_batch *b;
	unsigned int i;

	mutex_lock(&tb_mutex);
	seq_printf(s, "submitted=%u ended=%u twice=%u", tb_counts.submitted, tb_counts.ended,
		   tb_counts.twice);
	for (i = 0; i <= MAX_ERRNO; i++)
		if (READ_ONCE(tb_counts.errors[i]))
			seq_printf(s, " errno%u=%u", i, tb_counts.errors[i]);
	seq_putc(s, '\n');
	list_for_each_entry(b, &tb_batches, list)
		tb_show_batch(s, b);
	mutex_unlock(&tb_mutex);
	return 0;
}

struct tb_file {
	const char *name;
	int (*write)(const char *text);
};

static const struct tb_file tb_files[] = {
	{ "submit", tb_submit_write },
	{ "batch", tb_batch_write },
	{ "wait", tb_wait_write },
	{ "clear", tb_clear_write },
};

static ssize_t tb_write(struct file *file, const char __user *data, size_t count, loff_t *pos)
{
	const struct tb_file *f = file_inode(file)->i_private;
	char text[160];
	int ret;

	if (count >= sizeof(text))
		return -E2BIG;
	if (copy_from_user(text, data, count))
		return -EFAULT;
	text[count] = '\0';
	ret = f->write(text);
	return ret ?: count;
}

static const struct file_operations tb_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = tb_write,
	.llseek = noop_llseek,
};

DEFINE_SHOW_ATTRIBUTE(tb_result);

static int __init tb_init(void)
{
	unsigned int i;

	tb_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	if (IS_ERR(tb_dir))
		return PTR_ERR(tb_dir);
	for (i = 0; i < ARRAY_SIZE(tb_files); i++)
		debugfs_create_file(tb_files[i].name, 0200, tb_dir, (void *)&tb_files[i], &tb_fops);
	debugfs_create_file("result", 0400, tb_dir, NULL, &tb_result_fops);
	return 0;
}

/* A bio that is pending calls back into this module, so it has to be waited for. */
static void __exit tb_exit(void)
{
	debugfs_remove_recursive(tb_dir);
	wait_event(tb_idle, tb_is_idle());
	tb_clear();
}

module_init(tb_init);
module_exit(tb_exit);

MODULE_DESCRIPTION("A generator of bios for tests of block drivers");
MODULE_LICENSE("GPL");
