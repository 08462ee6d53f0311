// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

/* ---- warm-up ------------------------------------------------------------- */

static double wall_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* Every flow once, in order, at most `rate` packets per second. */
static void one_pass(struct instance *in, unsigned int flows, double rate)
{
	unsigned int chunk = rate > 0 && rate / 20 < flows ? rate / 20 + 1 : flows;
	double start = wall_seconds();

	in->sides[SIDE_TARGET].pattern = PAT_SEQ;
	in->sides[SIDE_TARGET].next = 0;
	for (unsigned int done = 0; done < flows; done += chunk) {
		if (flows - done < chunk)
			chunk = flows - done;
		run_packets(in, SIDE_TARGET, chunk);
		while (rate > 0 && wall_seconds() - start < (done + chunk) / rate)
			usleep(1000);
	}
}

static void warm_up(const struct plan *p, struct target *t, struct instance *in, const struct kind *k,
		    unsigned int flows)
{
	static struct frame opener;
	struct instance first;

	if (k->opener) {
		build_frame(&opener, find_kind(k->opener), &p->vip, 64, flows);
		open_instance(&first, &opener, t);
		one_pass(&first, flows, p->warm_rate);
		close_instance(&first);
	}
	for (unsigned int i = 0; i < p->warm_passes; i++)
		one_pass(in, flows, p->warm_rate);
}

/* ---- access pattern ------------------------------------------------------ */

static double uniform(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (*s >> 11) * 0x1p-53;
}

static void fill_zipf(uint32_t *sched, unsigned int flows, double exponent)
{
	double *cdf = malloc(flows * sizeof(*cdf)), sum = 0;
	uint64_t seed = 0x9e3779b97f4a7c15ULL;

	if (!cdf)
		die("no memory for the schedule");
	for (unsigned int i = 0; i < flows; i++)
		cdf[i] = sum += pow(i + 1, -exponent);
	for (unsigned int i = 0; i < SCHED_SLOTS; i++) {
		double u = uniform(&seed) * sum;
		unsigned int lo = 0, hi = flows - 1;

		while (lo < hi) {
			unsigned int mid = (lo + hi) / 2;

			if (cdf[mid] < u)
				lo = mid + 1;
			else
				hi = mid;
		}
		sched[i] = lo;
	}
	free(cdf);
}

static int pattern_number(const char *name)
{
	if (!strcmp(name, "seq"))
		return PAT_SEQ;
	return strcmp(name, "random") ? PAT_SCHED : PAT_RANDOM;
}

/* ---- a case -------------------------------------------------------------- */

static void prepare(const struct plan *p, struct target *t, struct instance *in, const struct kind *k,
		    unsigned int flows)
{
	warm_up(p, t, in, k, flows);
	if (pattern_number(p->pattern) == PAT_SCHED)
		fill_zipf(in->sched, flows, p->zipf);
	for (int side = 0; side < 2; side++) {
		struct bench_side *b = &in->sides[side];

		b->next = 0;
		b->pattern = pattern_number(p->pattern);
		if (p->rounds)
			run_packets(in, side, p->packets / 10 + 1);
		b->moved = b->resized = 0;
		memset(b->verdict, 0, sizeof(b->verdict));
	}
}

/* The next packet of the schedule, before and after; costs the target one packet more than were measured. */
static void take_sample(struct instance *in, struct sample *s)
{
	struct bench_side *base = &in->sides[SIDE_BASE], *target = &in->sides[SIDE_TARGET];

	base->next = target->next;
	base->rng = target->rng;
	s->in_len = sizeof(s->in);
	run_one(in, SIDE_BASE, s->in, &s->in_len);
	s->out_len = sizeof(s->out);
	s->verdict = run_one(in, SIDE_TARGET, s->out, &s->out_len);
}

unsigned int measure(const struct plan *p, struct target *t, int ntargets, const struct kind *k, unsigned int flows,
		     unsigned int size, struct result *results)
{
	static struct frame frame;
	struct instance in[MAX_TARGETS];

	build_frame(&frame, k, &p->vip, size, flows);
	frame.cfg.fence = p->fence;
	for (int i = 0; i < ntargets; i++) {
		open_instance(&in[i], &frame, &t[i]);
		prepare(p, &t[i], &in[i], k, flows);
	}

	/*
	 * Base, target, base, target...; in every second round the other way round, so that a drift of the clock
	 * speed cancels out.
	 */
	for (unsigned int r = 0; r < p->rounds; r++)
		for (int i = 0; i < ntargets; i++) {
			struct result *res = &results[i];
			int first = r & 1;

			res->gross[first][r] = run_packets(&in[i], first, p->packets);
			res->gross[!first][r] = run_packets(&in[i], !first, p->packets);
			res->net[r] = res->gross[SIDE_TARGET][r] - res->gross[SIDE_BASE][r];
		}

	for (int i = 0; i < ntargets; i++) {
		results[i].seen = in[i].sides[SIDE_TARGET];
		if (p->rounds)
			take_sample(&in[i], &results[i].sample);
		close_instance(&in[i]);
	}
	return frame.cfg.len;
}
