// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that does one wrong thing when it is loaded: what= says which. It shows that the kernel
 * of lab/kasan reports what the tests rely on.
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "name of the mistake");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void use_after_free(void)
{
	int *p = kmalloc(sizeof(*p), GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p); /* or the compiler sees it, too */
	kfree(p);
	WRITE_ONCE(*p, 1);
}

static void out_of_bounds(void)
{
	char *p = kmalloc(24, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(p[24], 1);
	kfree(p);
}

static void double_free(void)
{
	int *p = kmalloc(sizeof(*p), GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
}

/* Some, as a word that looks like the address of one may be left somewhere. */
static void leak(void)
{
	for (int i = 0; i < 10; i++) {
		char *p = kmalloc(64, GFP_KERNEL);

		if (p)
			memset(p, 'x', 64);
		OPTIMIZER_HIDE_VAR(p);
	}
}

static void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void sleep_in_spinlock(void)
{
	spin_lock(&spin);
	kfree(kmalloc(8, GFP_KERNEL));
	spin_unlock(&spin);
}

static void rcu_unlocked(void)
{
	static int *pointer;

	pr_info("%p\n", rcu_dereference(pointer));
}

static void list_del_twice(void)
{
	struct list_head head, entry;

	INIT_LIST_HEAD(&head);
	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
}

static void timer_over(struct timer_list *timer)
{
}

static void free_active_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, timer_over, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	OPTIMIZER_HIDE_VAR(timer);
	kfree(timer);
}

static void shift_too_far(void)
{
	int by = 40;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("%d\n", 1 << by);
}

static const struct {
	const char *name;
	void (*make)(void);
} mistakes[] = {
	{ "none", NULL },
	{ "use_after_free", use_after_free },
	{ "out_of_bounds", out_of_bounds },
	{ "double_free", double_free },
	{ "leak", leak },
	{ "lock_order", lock_order },
	{ "sleep_in_spinlock", sleep_in_spinlock },
	{ "rcu_unlocked", rcu_unlocked },
	{ "list_del_twice", list_del_twice },
	{ "free_active_timer", free_active_timer },
	{ "shift_too_far", shift_too_far },
};

static int __init vdax_wrong_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (strcmp(mistakes[i].name, what))
			continue;
		if (mistakes[i].make)
			mistakes[i].make();
		return 0;
	}
	return -EINVAL;
}

static void __exit vdax_wrong_exit(void)
{
}

module_init(vdax_wrong_init);
module_exit(vdax_wrong_exit);
MODULE_DESCRIPTION("Makes one mistake, to see it reported");
MODULE_LICENSE("GPL");
