// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * pktbench: nanoseconds per packet of XDP programs, by BPF_PROG_TEST_RUN with a wrapper (wrapper.bpf.c) that hands
 * the program a fresh packet on every repeat. ../README.md says what is measured and how to read it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <bpf/libbpf.h>

#include "output.h"

#define MAX_LIST 16

struct options {
	struct plan plan;
	struct target targets[MAX_TARGETS];
	const char *kinds[MAX_LIST];
	unsigned int flows[MAX_LIST], sizes[MAX_LIST];
	int ntargets, nkinds, nflows, nsizes, cpu;
};

static void usage(void)
{
	puts("usage: pktbench -t [LABEL=]PROG [-t ...] [options]\n"
	     "  -t PROG   pinned path in bpffs, or program id; several are interleaved\n"
	     "  -k LIST   packet kinds (default tcp4-syn,tcp4-ack):");
	for (int i = 0; i < nkinds; i++)
		printf("%s%s%s", i % 6 ? " " : "              ", kinds[i].name, i % 6 == 5 ? "\n" : "");
	puts("\n"
	     "  -f LIST   numbers of flows, k and M allowed (default 1,1k,100k,1M)\n"
	     "  -s LIST   frame bytes without FCS (default 64; raised to fit the headers)\n"
	     "  -4 ADDR   IPv4 VIP (default 192.0.2.10)   -6 ADDR  IPv6 VIP (2001:db8::10)\n"
	     "  -p PORT   VIP's TCP port (default 80)     -u PORT  VIP's UDP port (443)\n"
	     "  -q HEX    start of the UDP payload of quic kinds (default 40 + 8-byte id)\n"
	     "  -P PAT    seq, random, zipf or zipf:EXPONENT (default random)\n"
	     "  -n N      packets per round (default 500k)\n"
	     "  -r N      rounds (default 11); 0 = warm up only\n"
	     "  -w N      warm-up: after its opener every flow is sent N times as itself (default 2)\n"
	     "  -R RATE   at most RATE packets/s while warming up (default: no limit)\n"
	     "  -F        no store-buffer fence in front of the program\n"
	     "  -c CPU    pin to this CPU (default: the current one)\n"
	     "JSON goes to standard output, one line per case to standard error.");
}

static double number(const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (*end == 'k' || *end == 'K')
		v *= 1e3, end++;
	else if (*end == 'm' || *end == 'M')
		v *= 1e6, end++;
	if (*end || end == s || v < 0)
		die("not a number: %s", s);
	return v;
}

static int list(char *arg, const char **out)
{
	int n = 0;

	for (char *s = strtok(arg, ","); s; s = strtok(NULL, ",")) {
		if (n == MAX_LIST)
			die("at most %d items in a list", MAX_LIST);
		out[n++] = s;
	}
	return n;
}

static int number_list(char *arg, unsigned int *out)
{
	const char *s[MAX_LIST];
	int n = list(arg, s);

	for (int i = 0; i < n; i++)
		out[i] = number(s[i]);
	return n;
}

static void address(int family, const char *text, void *out)
{
	if (inet_pton(family, text, out) != 1)
		die("not an IPv%d address: %s", family == AF_INET ? 4 : 6, text);
}

static void quic_head(struct vip *vip, const char *hex)
{
	for (vip->quic_head_len = 0; isxdigit(*hex) && vip->quic_head_len < (int)sizeof(vip->quic_head); hex += 2)
		if (sscanf(hex, "%2hhx", &vip->quic_head[vip->quic_head_len++]) != 1)
			die("not hex: %s", hex);
}

static void pattern(struct plan *p, const char *name)
{
	bool zipf = !strncmp(name, "zipf", 4);

	p->pattern = zipf ? "zipf" : name;
	if (!strncmp(name, "zipf:", 5))
		p->zipf = number(name + 5);
	if (!zipf && strcmp(name, "seq") && strcmp(name, "random"))
		die("no such pattern: %s", name);
}

/* Returns 0, or the process's exit status + 1. */
static int parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "t:k:f:s:4:6:p:u:q:P:n:r:w:R:c:Fh")) != -1) {
		switch (c) {
		case 't':
			if (o->ntargets == MAX_TARGETS)
				die("at most %d targets", MAX_TARGETS);
			open_target(&o->targets[o->ntargets++], optarg);
			break;
		case 'k':
			o->nkinds = list(optarg, o->kinds);
			break;
		case 'f':
			o->nflows = number_list(optarg, o->flows);
			break;
		case 's':
			o->nsizes = number_list(optarg, o->sizes);
			break;
		case '4':
			address(AF_INET, optarg, &o->plan.vip.v4);
			break;
		case '6':
			address(AF_INET6, optarg, &o->plan.vip.v6);
			break;
		case 'p':
			o->plan.vip.tcp_port = number(optarg);
			break;
		case 'u':
			o->plan.vip.udp_port = number(optarg);
			break;
		case 'q':
			quic_head(&o->plan.vip, optarg);
			break;
		case 'P':
			pattern(&o->plan, optarg);
			break;
		case 'n':
			o->plan.packets = number(optarg);
			break;
		case 'r':
			o->plan.rounds = number(optarg);
			break;
		case 'w':
			o->plan.warm_passes = number(optarg);
			break;
		case 'R':
			o->plan.warm_rate = number(optarg);
			break;
		case 'c':
			o->cpu = number(optarg);
			break;
		case 'F':
			o->plan.fence = false;
			break;
		case 'h':
			usage();
			return 1;
		default:
			usage();
			return 3;
		}
	}
	if (!o->ntargets || optind < argc) {
		usage();
		return 3;
	}
	if (!o->plan.packets || o->plan.rounds > MAX_ROUNDS)
		die("packets must be above 0, rounds 0 to %d", MAX_ROUNDS);
	for (int i = 0; i < o->nflows; i++)
		if (!o->flows[i] || o->flows[i] > 1u << 24)
			die("flows must be 1 to 16777216");
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

int main(int argc, char **argv)
{
	static struct options o = {
		.kinds = {"tcp4-syn", "tcp4-ack"},
		.nkinds = 2,
		.flows = {1, 1000, 100000, 1000000},
		.nflows = 4,
		.sizes = {64},
		.nsizes = 1,
		.cpu = -1,
		.plan = {.pattern = "random",
			 .zipf = 1,
			 .packets = 500000,
			 .rounds = 11,
			 .warm_passes = 2,
			 .fence = true,
			 .vip = {.tcp_port = 80,
				 .udp_port = 443,
				 .quic_head = {0x40, 1, 2, 3, 4, 5, 6, 7, 8},
				 .quic_head_len = 9}},
	};
	static struct result results[MAX_TARGETS];
	unsigned int bytes;
	cpu_set_t set;
	int stop;

	address(AF_INET, "192.0.2.10", &o.plan.vip.v4);
	address(AF_INET6, "2001:db8::10", &o.plan.vip.v6);
	libbpf_set_print(quiet);
	stop = parse(argc, argv, &o);
	if (stop)
		return stop - 1;
	if (o.cpu < 0)
		o.cpu = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(o.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot pin to CPU %d: %s", o.cpu, strerror(errno));
	/* Others' turns on this CPU don't count as time, but they leave the caches cold; no matter if it is refused. */
	setpriority(PRIO_PROCESS, 0, -20);

	print_head(&o.plan, o.cpu);
	for (int k = 0; k < o.nkinds; k++)
		for (int s = 0; s < o.nsizes; s++)
			for (int f = 0; f < o.nflows; f++) {
				const struct kind *kind = find_kind(o.kinds[k]);

				bytes = measure(&o.plan, o.targets, o.ntargets, kind, o.flows[f], o.sizes[s], results);
				print_case(&o.plan, o.targets, o.ntargets, kind, o.flows[f], bytes, results);
			}
	print_tail();
	return 0;
}
