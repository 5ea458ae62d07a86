/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error numbers of the guest library. Functions return them negated. The values are those
 * of Linux on most architectures, so that an embedder that has an errno.h passes them on.
 */
#ifndef VDAX_ERRNO_H
#define VDAX_ERRNO_H

enum vdax_errno {
	VDAX_ENOENT = 2,      /* no such name, says the device */
	VDAX_EIO = 5,	      /* the device failed the request, or is broken */
	VDAX_EAGAIN = 11,     /* the ring is full now; it will not stay so */
	VDAX_EBUSY = 16,      /* not from inside a completion callback, or already submitted */
	VDAX_ENODEV = 19,     /* the device lacks something without which it cannot be driven */
	VDAX_EINVAL = 22,     /* a parameter, or a value from the device, makes no sense */
	VDAX_ERANGE = 34,     /* offset and length are not inside the window */
	VDAX_ENOTSUP = 95,    /* not on this platform */
	VDAX_ETIMEDOUT = 110, /* the device did not answer in time */
};

#endif
