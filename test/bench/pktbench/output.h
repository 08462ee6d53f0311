/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One JSON document on standard output, one line per case and target on standard error. */
#ifndef PKTBENCH_OUTPUT_H
#define PKTBENCH_OUTPUT_H

#include "measure.h"

void print_head(const struct plan *p, int cpu);
void print_case(const struct plan *p, const struct target *t, int ntargets, const struct kind *k, unsigned int flows,
		unsigned int frame_bytes, const struct result *results);
void print_tail(void);

#endif
