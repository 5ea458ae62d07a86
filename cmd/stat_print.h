/* SPDX-License-Identifier: BSD-2-Clause */
/* The three forms of `vdax stat`. */
#ifndef CMD_STAT_PRINT_H
#define CMD_STAT_PRINT_H

#include <stdio.h>

#include "cmd/stat_answer.h"
#include "cmd/stat_rate.h"

/* For people, and as one JSON object. rates: NULL if the daemon has none. */
void stat_print_table(FILE *f, const struct stat_answer *a, const struct stat_rates *rates);
void stat_print_json(FILE *f, const struct stat_answer *a, const struct stat_rates *rates);

/* The text format of Prometheus, version 0.0.4. */
void stat_print_prometheus(FILE *f, const struct stat_answer *a);

#endif
