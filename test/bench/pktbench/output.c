// SPDX-License-Identifier: GPL-2.0-only OR MIT
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "output.h"

#define HEX_BYTES 192

static const char *verdict_name(int v)
{
	static const char *const names[NVERDICTS] = {
		"XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT", "5", "not_prepared", "not_called",
	};

	return names[v & (NVERDICTS - 1)];
}

/* ---- numbers ------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Returns the median. */
static double print_spread(const char *name, const double *v, int n)
{
	double s[MAX_ROUNDS], median;

	memcpy(s, v, n * sizeof(*s));
	qsort(s, n, sizeof(*s), by_value);
	median = n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
	printf("\"%s\": {\"median\": %.3f, \"min\": %.3f, \"max\": %.3f}", name, median, s[0], s[n - 1]);
	return median;
}

static double print_times(const struct result *r, const struct result *reference, int rounds)
{
	double ratio[MAX_ROUNDS], median;

	printf(",\n   ");
	median = print_spread("net_ns", r->net, rounds);
	printf(",\n   ");
	print_spread("gross_ns", r->gross[SIDE_TARGET], rounds);
	printf(", ");
	print_spread("baseline_ns", r->gross[SIDE_BASE], rounds);
	for (int i = 0; i < rounds; i++)
		ratio[i] = r->net[i] / reference->net[i];
	printf(",\n   ");
	print_spread("ratio_to_first", ratio, rounds);
	return median;
}

/* ---- frames -------------------------------------------------------------- */

static void print_hex(const char *name, const unsigned char *p, unsigned int len)
{
	printf("\"%s\": \"", name);
	for (unsigned int i = 0; i < len && i < HEX_BYTES; i++)
		printf("%02x", p[i]);
	printf("%s\"", len > HEX_BYTES ? "..." : "");
}

/* Prints the IP header at p; returns the protocol it carries. */
static int print_ip(const unsigned char *p, int family, unsigned int hlen)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	if (family == 4) {
		inet_ntop(AF_INET, p + 12, src, sizeof(src));
		inet_ntop(AF_INET, p + 16, dst, sizeof(dst));
		printf("IPv4 %s > %s len %u%s", src, dst, p[2] << 8 | p[3],
		       sum16(p, hlen, 0) == 0xffff ? "" : " BAD CHECKSUM");
		return p[9];
	}
	inet_ntop(AF_INET6, p + 8, src, sizeof(src));
	inet_ntop(AF_INET6, p + 24, dst, sizeof(dst));
	printf("IPv6 %s > %s payload %u", src, dst, p[4] << 8 | p[5]);
	return p[6];
}

/* Prints the transport header at p. Returns the family of the IP packet within (GUE variant 1), or 0. */
static int print_transport(const unsigned char *p, unsigned int left, int proto)
{
	unsigned int dport;

	if ((proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) && left >= 8) {
		printf(" | ICMP type %d code %d", p[0], p[1]);
		return 0;
	}
	if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || left < 8) {
		printf(" | protocol %d", proto);
		return 0;
	}
	dport = p[2] << 8 | p[3];
	printf(" | %s %u > %u", proto == IPPROTO_TCP ? "TCP" : "UDP", p[0] << 8 | p[1], dport);
	if (proto == IPPROTO_TCP && left >= 14)
		printf(" flags 0x%02x", p[13]);
	if (proto != IPPROTO_UDP || dport != 6080 || left < 9)
		return 0;
	return p[8] >> 4 == 4 ? 4 : p[8] >> 4 == 6 ? 6 : 0;
}

/* A one-line account of the headers, outermost first. */
static void print_decoded(const unsigned char *p, unsigned int len)
{
	unsigned int off = 14, type = len < 14 ? 0 : p[12] << 8 | p[13];
	int family = type == 0x0800 ? 4 : type == 0x86dd ? 6 : 0, proto;

	printf("\"decoded\": \"");
	for (int depth = 0; family && depth < 4; depth++) {
		unsigned int hlen = family == 4 ? 20 : 40;

		if (off + hlen > len)
			break;
		if (family == 4)
			hlen = (p[off] & 15) * 4;
		printf("%s", depth ? " | " : "");
		proto = print_ip(p + off, family, hlen);
		off += hlen;
		family = proto == IPPROTO_IPIP ? 4 : proto == IPPROTO_IPV6 ? 6 : 0;
		if (family)
			continue;
		family = off <= len ? print_transport(p + off, len - off, proto) : 0;
		off += 8;
	}
	printf("\"");
}

/* What became of the frames: all of them by count, one in full. */
static void print_frames(const struct result *r, double total)
{
	const struct sample *s = &r->sample;

	printf(", \"start_moved_share\": %.3f, \"end_moved_share\": %.3f,\n   ", r->seen.moved / total,
	       r->seen.resized / total);
	printf("\"sample\": {");
	print_hex("in", s->in, s->in_len);
	printf(", ");
	print_decoded(s->in, s->in_len);
	printf(",\n     \"verdict\": \"%s\", \"out\": {", verdict_name(s->verdict));
	print_hex("frame", s->out, s->out_len);
	printf(", ");
	print_decoded(s->out, s->out_len);
	printf("}}");
}

/* ---- the document -------------------------------------------------------- */

void print_head(const struct plan *p, int cpu)
{
	char line[256], model[128] = "?";
	FILE *f = fopen("/proc/cpuinfo", "r");
	struct utsname u;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (f)
		fclose(f);
	uname(&u);
	printf("{\"host\": {\"kernel\": \"%s\", \"machine\": \"%s\", \"cpu\": \"%s\", \"pinned_to\": %d},\n", u.release,
	       u.machine, model, cpu);
	printf(" \"settings\": {\"packets_per_round\": %u, \"rounds\": %u, \"pattern\": \"%s\", \"fence\": %s, "
	       "\"warm_passes\": %u, \"warm_rate\": %.0f},\n",
	       p->packets, p->rounds, p->pattern, p->fence ? "true" : "false", p->warm_passes, p->warm_rate);
	printf(" \"results\": [\n");
}

void print_case(const struct plan *p, const struct target *t, int ntargets, const struct kind *k, unsigned int flows,
		unsigned int frame_bytes, const struct result *results)
{
	static bool comma;
	double total = (double)p->packets * p->rounds, ns = 0;

	for (int i = 0; i < ntargets; i++) {
		const struct result *r = &results[i];
		int n = 0;

		printf("%s  {\"target\": \"%s\", \"prog_id\": %u, \"frags\": %s, \"kind\": \"%s\", \"flows\": %u, "
		       "\"frame_bytes\": %u",
		       comma ? ",\n" : "", t[i].label, t[i].id, target_has_frags(&t[i]) ? "true" : "false", k->name,
		       flows, frame_bytes);
		comma = true;
		if (p->rounds)
			ns = print_times(r, &results[0], p->rounds);
		printf(",\n   \"verdicts\": {");
		for (int v = 0; v < NVERDICTS; v++)
			if (r->seen.verdict[v])
				printf("%s\"%s\": %llu", n++ ? ", " : "", verdict_name(v), r->seen.verdict[v]);
		printf("}");
		if (p->rounds)
			print_frames(r, total);
		printf("}");
		fflush(stdout);
		if (p->rounds)
			fprintf(stderr, "%-10s %-14s %8u flows %5u B %8.1f ns %7.2f Mpps/core  %s\n", k->name,
				t[i].label, flows, frame_bytes, ns, ns > 0 ? 1e3 / ns : 0,
				verdict_name(r->sample.verdict));
	}
}

void print_tail(void)
{
	printf("\n ]}\n");
}
