/* SPDX-License-Identifier: BSD-2-Clause */
/* Each file that makes system calls is named twice; tests/lint/syscalls compares. */
#include "fs/seccomp.h"

#include <stddef.h>

extern const int fs_async_syscalls[];
extern const int fs_cred_syscalls[];
extern const int fs_dax_copy_syscalls[];
extern const int fs_dax_front_syscalls[];
extern const int fs_dax_syscalls[];
extern const int fs_dax_file_syscalls[];
extern const int fs_dax_lock_syscalls[];
extern const int fs_dax_policy_syscalls[];
extern const int fs_handle_syscalls[];
extern const int fs_inode_fd_syscalls[];
extern const int fs_inode_find_syscalls[];
extern const int fs_lock_syscalls[];
extern const int fs_mount_syscalls[];
extern const int fs_op_create_syscalls[];
extern const int fs_op_dir_syscalls[];
extern const int fs_op_file_syscalls[];
extern const int fs_op_io_syscalls[];
extern const int fs_op_later_syscalls[];
extern const int fs_op_node_syscalls[];
extern const int fs_op_remove_syscalls[];
extern const int fs_op_setattr_syscalls[];
extern const int fs_op_xattr_syscalls[];
extern const int fs_report_syscalls[];
extern const int fs_state_load_inode_syscalls[];
extern const int fs_state_load_syscalls[];
extern const int fs_state_path_syscalls[];
extern const int fs_state_save_syscalls[];
extern const int fs_state_search_syscalls[];
extern const int fs_truncate_syscalls[];
extern const int fs_uring_syscalls[];
extern const struct syscall_rule fs_cred_rules[];
extern const struct syscall_rule fs_lock_owner_rules[];
extern const struct syscall_rule fs_op_ioctl_rules[];

const int *const fs_syscalls[] = {
	fs_async_syscalls,
	fs_cred_syscalls,
	fs_dax_copy_syscalls,
	fs_dax_front_syscalls,
	fs_dax_syscalls,
	fs_dax_file_syscalls,
	fs_dax_lock_syscalls,
	fs_dax_policy_syscalls,
	fs_handle_syscalls,
	fs_inode_fd_syscalls,
	fs_inode_find_syscalls,
	fs_lock_syscalls,
	fs_mount_syscalls,
	fs_op_create_syscalls,
	fs_op_dir_syscalls,
	fs_op_file_syscalls,
	fs_op_io_syscalls,
	fs_op_later_syscalls,
	fs_op_node_syscalls,
	fs_op_remove_syscalls,
	fs_op_setattr_syscalls,
	fs_op_xattr_syscalls,
	fs_report_syscalls,
	fs_state_load_inode_syscalls,
	fs_state_load_syscalls,
	fs_state_path_syscalls,
	fs_state_save_syscalls,
	fs_state_search_syscalls,
	fs_truncate_syscalls,
	fs_uring_syscalls,
	NULL,
};

const struct syscall_rule *const fs_syscall_rules[] = {
	fs_cred_rules,
	fs_lock_owner_rules,
	fs_op_ioctl_rules,
	NULL,
};
