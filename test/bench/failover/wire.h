/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the load and the echo server say to each other, by TCP and by UDP alike. */
#ifndef FAILOVER_WIRE_H
#define FAILOVER_WIRE_H

#include <stdint.h>

struct question {
	uint64_t flow; /* the asker's own, so that an answer to somebody else is noticed */
	uint64_t number;
};

#define NAME_SIZE 8

struct answer {
	struct question question;
	char backend[NAME_SIZE];
};

_Static_assert(sizeof(struct answer) == 24, "no padding");

#endif
