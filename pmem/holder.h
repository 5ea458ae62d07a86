/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PMEM_HOLDER_H
#define PMEM_HOLDER_H

#include <stddef.h>

/*
 * Who else has the file behind fd open or mapped? Writes "name (pid N)" of the first such
 * process that we may look at into who[len], or "". The kernel does not name the holder of
 * an OFD lock, so this is a look at all processes: for an error message only.
 */
void holder_name(int fd, char *who, size_t len);

#endif
