/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Programs under test, and the wrapper loaded around one of them for one frame. */
#ifndef PKTBENCH_TARGET_H
#define PKTBENCH_TARGET_H

#include "frame.h"

#define MAX_TARGETS 8

struct target {
	const char *label;
	int fd;
	unsigned int id;
	int variant; /* how the wrapper must be loaded; -1: not yet known */
};

struct wrapper;

struct instance {
	struct wrapper *skel;
	int fd[2]; /* by side */
	const struct frame *frame;
	struct bench_side *sides; /* shared with the kernel */
	uint32_t *sched;
};

/* spec: [LABEL=]PATH or [LABEL=]ID. Ends the process when that is no XDP program. */
void open_target(struct target *t, const char *spec);
bool target_has_frags(const struct target *t);

void open_instance(struct instance *in, const struct frame *f, struct target *t);
void close_instance(struct instance *in);

/* CPU nanoseconds per packet. Thread time, so that being scheduled out does not count. */
double run_packets(struct instance *in, int side, unsigned int packets);

/* One packet; returns the verdict and leaves the frame in out. */
int run_one(struct instance *in, int side, unsigned char *out, unsigned int *len);

#endif
