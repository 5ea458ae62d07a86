/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stdio.h>

/* Prints "key": and a space. */
void json_key(FILE *f, const char *key);

/* Prints "key": value, the value as a number if it is a decimal one, else as a string. */
void json_member(FILE *f, const char *key, const char *value);

#endif
