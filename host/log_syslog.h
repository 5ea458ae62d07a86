/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to syslog: one socket, connected at the start, so that nothing is opened later. What
 * cannot be sent is dropped. (The C library's syslog() connects again when that happens, which a
 * sandbox does not permit.)
 */
#ifndef HOST_LOG_SYSLOG_H
#define HOST_LOG_SYSLOG_H

/*
 * Makes log_msg() write there from now on, as "ident[our pid now]", facility daemon. 0, or -errno:
 * then messages go on as before. ident is borrowed.
 */
int syslog_open(const char *ident);
void syslog_close(void);

#endif
