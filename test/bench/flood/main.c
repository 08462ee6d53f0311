// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * flood: established traffic through an XDP program while spoofed packets flood it, by BPF_PROG_TEST_RUN with
 * pktbench's wrapper, from one thread on each CPU named.
 *
 *   flood fill  PROGRAM FIRST COUNT         each of these flows twice in a row: the second packet establishes it
 *   flood run   PROGRAM FILE SECONDS CPUS   FILE: u32 numbers of the established flows. Before the flood, during it for
 *                                           SECONDS, and after it; prints a JSON object
 *
 * During the flood each thread gives FLOOD_BATCH packets of a kind of flood, then ESTABLISHED_BATCH of the established
 * flows, which alone are timed: their cost is that of a batch less that of the same batch for a program that does
 * nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../pktbench/target.h"

#define MAX_THREADS 64
/* Each call rewrites the kernel's XDP dispatcher and waits for that, some ten milliseconds: few calls, long ones. */
#define FLOOD_BATCH	  (1 << 19)
#define ESTABLISHED_BATCH (1 << 16)
/* Before and after the flood. */
#define QUIET_SECONDS 3
#define MAX_BATCHES   (1 << 16)

enum { PHASE_BEFORE, PHASE_DURING, PHASE_AFTER, NPHASES };
static const char *const phase_names[] = {"before", "during", "after"};
static const char *const flood_kinds[] = {"tcp4-syn", "tcp4-ack", "udp4"};
#define NFLOODS (int)(sizeof(flood_kinds) / sizeof(*flood_kinds))

struct phase {
	unsigned long flooded[NFLOODS], established;
	double wall, cpu;
	double ns[MAX_BATCHES]; /* per packet of each batch of established flows */
	int batches;
};

struct thread {
	pthread_t id;
	int cpu;
	double seconds;
	struct instance floods[NFLOODS], established;
	pthread_barrier_t *start;
	struct phase *phases;
};

static struct frame frames[NFLOODS], established_frame;
static const struct vip vip_default = {.tcp_port = 80, .udp_port = 443};

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void build_frames(void)
{
	struct vip vip = vip_default;

	inet_pton(AF_INET, "192.0.2.10", &vip.v4);
	inet_pton(AF_INET6, "2001:db8::10", &vip.v6);
	for (int i = 0; i < NFLOODS; i++)
		build_frame(&frames[i], find_kind(flood_kinds[i]), &vip, 64, 1u << 24);
	build_frame(&established_frame, find_kind("tcp4-ack"), &vip, 64, 1u << 24);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text)
		die("not a number: %s", text);
	return n;
}

/* ---- fill ------------------------------------------------------------------ */

static void fill(struct target *t, unsigned int first, unsigned int count)
{
	struct instance in;

	open_instance(&in, &established_frame, t);
	in.sides[SIDE_TARGET].pattern = PAT_SCHED;
	for (unsigned int done = 0; done < count;) {
		unsigned int n = count - done < SCHED_SLOTS / 2 ? count - done : SCHED_SLOTS / 2;

		for (unsigned int i = 0; i < 2 * n; i++)
			in.sched[i] = first + done + i / 2;
		in.sides[SIDE_TARGET].next = 0;
		run_packets(&in, SIDE_TARGET, 2 * n);
		done += n;
	}
	close_instance(&in);
}

/* ---- run ------------------------------------------------------------------- */

/* The schedule is long enough for each flow to come up. */
static void load_flows(const char *path, uint32_t *sched)
{
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(sched, sizeof(*sched), SCHED_SLOTS, file) : 0;

	if (!n || fgetc(file) != EOF)
		die("%s: wanted 1 to %u flows", path, SCHED_SLOTS);
	fclose(file);
	for (size_t i = n; i < SCHED_SLOTS; i++)
		sched[i] = sched[i - n];
}

static void open_thread(struct thread *t, struct target *target, const char *flows, int n, int threads)
{
	for (int i = 0; i < NFLOODS; i++) {
		open_instance(&t->floods[i], &frames[i], target);
		t->floods[i].sides[SIDE_TARGET].pattern = PAT_SPOOF;
		t->floods[i].sides[SIDE_TARGET].rng = 0x243f6a8885a308d3ULL * (n * NFLOODS + i + 1) ^ time(NULL);
	}
	open_instance(&t->established, &established_frame, target);
	load_flows(flows, t->established.sched);
	for (int side = 0; side < 2; side++) {
		t->established.sides[side].pattern = PAT_SCHED;
		t->established.sides[side].next = (unsigned long)SCHED_SLOTS * n / threads;
	}
}

static void one_batch(struct thread *t, struct phase *phase)
{
	double base = run_packets(&t->established, SIDE_BASE, ESTABLISHED_BATCH);
	double gross = run_packets(&t->established, SIDE_TARGET, ESTABLISHED_BATCH);

	phase->established += ESTABLISHED_BATCH;
	if (phase->batches < MAX_BATCHES)
		phase->ns[phase->batches++] = gross - base;
}

static void run_phase(struct thread *t, int which)
{
	double lasts = which == PHASE_DURING ? t->seconds : QUIET_SECONDS;
	struct phase *phase = &t->phases[which];
	double start, cpu;
	int kind = 0;

	pthread_barrier_wait(t->start);
	start = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	do {
		if (which == PHASE_DURING) {
			run_packets(&t->floods[kind], SIDE_TARGET, FLOOD_BATCH);
			phase->flooded[kind] += FLOOD_BATCH;
			kind = (kind + 1) % NFLOODS;
		}
		one_batch(t, phase);
	} while (seconds(CLOCK_MONOTONIC) < start + lasts);
	phase->wall = seconds(CLOCK_MONOTONIC) - start;
	phase->cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

static void *run_thread(void *argument)
{
	struct thread *t = argument;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		die("cannot pin to CPU %d", t->cpu);
	for (int phase = 0; phase < NPHASES; phase++)
		run_phase(t, phase);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_phase(const struct thread *threads, int n, int which)
{
	double *all = malloc(sizeof(double) * MAX_BATCHES * n), wall = 0, cpu = 0;
	unsigned long flooded[NFLOODS] = {}, established = 0;
	int batches = 0;

	if (!all)
		die("no memory");
	for (int i = 0; i < n; i++) {
		const struct phase *phase = &threads[i].phases[which];

		for (int k = 0; k < NFLOODS; k++)
			flooded[k] += phase->flooded[k];
		established += phase->established;
		memcpy(all + batches, phase->ns, sizeof(double) * phase->batches);
		batches += phase->batches;
		cpu += phase->cpu;
		wall = phase->wall > wall ? phase->wall : wall;
	}
	qsort(all, batches, sizeof(double), compare);
	printf("\"%s\":{\"seconds\":%.3f,\"cpuSeconds\":%.3f,\"flooded\":{", phase_names[which], wall, cpu);
	for (int k = 0; k < NFLOODS; k++)
		printf("%s\"%s\":%lu", k ? "," : "", flood_kinds[k], flooded[k]);
	printf("},\"established\":%lu,\"ns\":{\"median\":%.2f,\"p10\":%.2f,\"p90\":%.2f}}", established,
	       all[batches / 2], all[batches / 10], all[batches * 9 / 10]);
	free(all);
}

/* Of all packets of established flows: what became of them. */
static void print_verdicts(const struct thread *threads, int n)
{
	unsigned long sent = 0, other = 0;

	for (int i = 0; i < n; i++)
		for (int v = 0; v < NVERDICTS; v++) {
			unsigned long seen = threads[i].established.sides[SIDE_TARGET].verdict[v];

			*(v == 3 ? &sent : &other) += seen;
		}
	printf("\"forwarded\":%lu,\"notForwarded\":%lu", sent, other);
}

static void run(struct target *target, const char *flows, double seconds, char *cpus)
{
	static struct thread threads[MAX_THREADS];
	pthread_barrier_t start;
	int n = 0;

	for (char *word = strtok(cpus, ","); word && n < MAX_THREADS; word = strtok(NULL, ","))
		threads[n++].cpu = number(word);
	if (!n)
		die("no CPU named");
	pthread_barrier_init(&start, NULL, n);
	for (int i = 0; i < n; i++) {
		threads[i].seconds = seconds;
		threads[i].start = &start;
		threads[i].phases = calloc(NPHASES, sizeof(struct phase));
		if (!threads[i].phases)
			die("no memory");
		open_thread(&threads[i], target, flows, i, n);
	}
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]))
			die("cannot start a thread");
	for (int i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	printf("{");
	for (int phase = 0; phase < NPHASES; phase++) {
		print_phase(threads, n, phase);
		printf(",");
	}
	print_verdicts(threads, n);
	printf("}\n");
}

int main(int argc, char **argv)
{
	struct target target;

	if (argc < 5 || (strcmp(argv[1], "fill") && strcmp(argv[1], "run")) || (argv[1][0] == 'r' && argc != 6)) {
		fputs("usage: flood fill PROGRAM FIRST COUNT\n       flood run PROGRAM FILE SECONDS CPUS\n", stderr);
		return 2;
	}
	build_frames();
	open_target(&target, argv[2]);
	if (argv[1][0] == 'f')
		fill(&target, number(argv[3]), number(argv[4]));
	else
		run(&target, argv[3], number(argv[4]), argv[5]);
	return 0;
}
