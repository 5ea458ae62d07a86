/* SPDX-License-Identifier: BSD-2-Clause */
/* In the place of the kernel's header: a store that happens once, and as a whole. */
#ifndef TESTS_KMOD_COMPILER_H
#define TESTS_KMOD_COMPILER_H

#define WRITE_ONCE(x, value) ((void)(*(volatile __typeof__(x) *)&(x) = (value)))

#endif
