// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * live: sends frames out of an interface of the present network namespace as fast as it goes, by BPF_PROG_RUN in live
 * mode, from one thread for each CPU named. Prints a JSON object: what each thread sent, in which time. A driver sees
 * these frames as a network card's: no socket buffers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../pktbench/frame.h"
#include "generate.skel.h"

#define MAX_THREADS 64
/* More at once overrun the ring of a veth, which has 256 places. */
#define BATCH 64

struct thread {
	pthread_t id;
	struct generate *skel;
	const struct frame *frame;
	pthread_barrier_t *start;
	unsigned long packets;
	int cpu;
	double seconds, cpu_seconds;
};

static void usage(void)
{
	puts("usage: live -d DEVICE [options]\n"
	     "  -k KIND   packet kind, as of pktbench (tcp4-ack)\n"
	     "  -f N      flows (1000)\n"
	     "  -s BYTES  frame without FCS (64; raised to fit the headers)\n"
	     "  -n N      packets of each thread (1000000)\n"
	     "  -c LIST   CPUs, one thread on each (0)\n"
	     "  -q        go round the flows in sequence, each thread from a place of its own, instead of drawing "
	     "them\n"
	     "  -4 ADDR   IPv4 VIP (192.0.2.10)   -6 ADDR  IPv6 VIP (2001:db8::10)\n"
	     "  -p PORT   VIP's TCP port (80)     -u PORT  VIP's UDP port (443)\n"
	     "Frames go to MAC 02:00:00:00:00:01 from 02:00:00:00:00:02.");
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void *send_all(void *argument)
{
	struct thread *t = argument;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = t->frame->b, .data_size_in = t->frame->cfg.len,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH, .repeat = t->packets);
	double wall, cpu;
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(t->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		die("cannot pin to CPU %d", t->cpu);
	pthread_barrier_wait(t->start);
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	err = bpf_prog_test_run_opts(bpf_program__fd(t->skel->progs.generate), &o);
	if (err)
		die("BPF_PROG_RUN: %s", strerror(-err));
	t->seconds = seconds(CLOCK_MONOTONIC) - wall;
	t->cpu_seconds = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
	return NULL;
}

static void open_thread(struct thread *t, int ifindex, bool sequence, int n, int threads)
{
	unsigned int flows = t->frame->cfg.flows;

	t->skel = generate__open();
	if (!t->skel)
		die("cannot open the generator: %s", strerror(errno));
	memcpy((void *)&t->skel->rodata->cfg, &t->frame->cfg, sizeof(t->frame->cfg));
	t->skel->rodata->out_ifindex = ifindex;
	t->skel->rodata->pattern = sequence ? PAT_SEQ : PAT_RANDOM;
	t->skel->bss->rng = 0x243f6a8885a308d3ULL * (n + 1);
	t->skel->bss->next = (unsigned long)flows * n / threads;
	if (generate__load(t->skel))
		die("cannot load the generator: %s", strerror(errno));
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || !n)
		die("not a number above 0: %s", text);
	return n;
}

static int cpu_list(char *text, int *cpus)
{
	int n = 0;

	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (n == MAX_THREADS)
			die("at most %d threads", MAX_THREADS);
		cpus[n++] = atoi(word);
	}
	return n;
}

static void run(struct thread *threads, int n)
{
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, n);
	for (int i = 0; i < n; i++) {
		threads[i].start = &start;
		if (pthread_create(&threads[i].id, NULL, send_all, &threads[i]))
			die("cannot start a thread");
	}
	for (int i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	printf("{\"threads\":[");
	for (int i = 0; i < n; i++)
		printf("%s{\"cpu\":%d,\"sent\":%lu,\"seconds\":%.6f,\"cpuSeconds\":%.6f}", i ? "," : "", threads[i].cpu,
		       threads[i].packets, threads[i].seconds, threads[i].cpu_seconds);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct vip vip = {
		.tcp_port = 80, .udp_port = 443, .quic_head = {0x40, 1, 2, 3, 4, 5, 6, 7, 8}, .quic_head_len = 9};
	int cpus[MAX_THREADS] = {0}, ncpus = 1, ifindex = 0, c;
	unsigned long flows = 1000, packets = 1000000, size = 64;
	static struct thread threads[MAX_THREADS];
	const char *kind = "tcp4-ack";
	static struct frame frame;
	bool sequence = false;

	inet_pton(AF_INET, "192.0.2.10", &vip.v4);
	inet_pton(AF_INET6, "2001:db8::10", &vip.v6);
	while ((c = getopt(argc, argv, "d:k:f:s:n:c:q4:6:p:u:h")) != -1) {
		switch (c) {
		case 'd':
			ifindex = if_nametoindex(optarg);
			if (!ifindex)
				die("no interface %s here", optarg);
			break;
		case 'k':
			kind = optarg;
			break;
		case 'f':
			flows = number(optarg);
			break;
		case 's':
			size = number(optarg);
			break;
		case 'n':
			packets = number(optarg);
			break;
		case 'c':
			ncpus = cpu_list(optarg, cpus);
			break;
		case 'q':
			sequence = true;
			break;
		case '4':
			if (inet_pton(AF_INET, optarg, &vip.v4) != 1)
				die("no IPv4 address: %s", optarg);
			break;
		case '6':
			if (inet_pton(AF_INET6, optarg, &vip.v6) != 1)
				die("no IPv6 address: %s", optarg);
			break;
		case 'p':
			vip.tcp_port = number(optarg);
			break;
		case 'u':
			vip.udp_port = number(optarg);
			break;
		case 'h':
			usage();
			return 0;
		default:
			usage();
			return 2;
		}
	}
	if (!ifindex || optind < argc || !ncpus || flows > 1u << 24) {
		usage();
		return 2;
	}
	build_frame(&frame, find_kind(kind), &vip, size, flows);
	for (int i = 0; i < ncpus; i++) {
		threads[i] = (struct thread){.frame = &frame, .packets = packets, .cpu = cpus[i]};
		open_thread(&threads[i], ifindex, sequence, i, ncpus);
	}
	run(threads, ncpus);
	return 0;
}
