/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's side of test_uapi_fuse.c */
#include <linux/fuse.h>

#include "tests/unit/uapi_fuse.h"

#if FUSE_KERNEL_MINOR_VERSION >= 38
void kernel_fuse(fact_fn *fact)
{
#include "tests/unit/uapi_fuse_list.h"
}
#else
void kernel_fuse(fact_fn *fact)
{
	(void)fact;
}
#endif
