/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One case: a kind at a number of flows and a size, all targets in turn within each round. */
#ifndef PKTBENCH_MEASURE_H
#define PKTBENCH_MEASURE_H

#include "target.h"

#define MAX_ROUNDS 1001

struct plan {
	struct vip vip;
	const char *pattern; /* seq, random, zipf */
	double zipf;	     /* exponent */
	unsigned int packets, rounds, warm_passes;
	double warm_rate; /* packets per second; 0 = no limit */
	bool fence;
};

struct sample {
	unsigned char in[MAX_FRAME + 512], out[MAX_FRAME + 512];
	unsigned int in_len, out_len;
	int verdict;
};

/* What one target did in one case. */
struct result {
	double gross[2][MAX_ROUNDS], net[MAX_ROUNDS]; /* ns per packet */
	struct bench_side seen;			      /* counted over the measured packets */
	struct sample sample;			      /* taken when anything was measured */
};

/* Fills results[0..ntargets-1] and returns the frame's bytes. */
unsigned int measure(const struct plan *p, struct target *t, int ntargets, const struct kind *k, unsigned int flows,
		     unsigned int size, struct result *results);

#endif
