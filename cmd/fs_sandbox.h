/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a `vdax fs` process can see. In every mode the working directory becomes /proc/self/fd, so
 * that objects can be opened again by their descriptors' numbers.
 *
 *   namespace  own mount, pid, network and IPC namespaces; the share is the root. As an ordinary
 *              user in a user namespace, with the ids of the maps, or with its own only. The
 *              process becomes two: see fs_process.h.
 *   chroot     the share is the root, nothing else changes. Needs CAP_SYS_CHROOT.
 *   none       nothing changes; the file system alone keeps the guest inside of the share.
 *
 * The share may be a single file: its root is then an empty directory, and needs namespace or none.
 */
#ifndef CMD_FS_SANDBOX_H
#define CMD_FS_SANDBOX_H

#include "cmd/fs_process.h"
#include "cmd/fs_userns.h"
#include "fs/config.h"

enum fs_sandbox_mode { FS_SANDBOX_NAMESPACE, FS_SANDBOX_CHROOT, FS_SANDBOX_NONE };

/*
 * While there is one thread. Fills *box; its descriptors live as long as the process. In namespace
 * mode it returns in the new process only, and out says what the other one does. 0, or -errno after
 * a message.
 */
int fs_sandbox_enter(enum fs_sandbox_mode mode, const struct fs_config *cfg,
		     const struct fs_id_maps *maps, const struct fs_outside *out,
		     struct fs_sandbox *box);

#endif
