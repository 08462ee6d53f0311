// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Loads the yardstick program with pktbench's default VIPs (TCP 80 and UDP 443,
 * v4 and v6) and 100 servers each, and pins it: classic PATH. Remove the pin to
 * unload it.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "classic.skel.h"
#include "classic.h"

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "classic: %s: %s\n", what, strerror(err < 0 ? -err : errno));
	exit(1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *addr;
		int port, proto, first;
	} listeners[] = {
		{"192.0.2.10", 80, IPPROTO_TCP, 1},
		{"192.0.2.10", 443, IPPROTO_UDP, 1},
		{"2001:db8::10", 80, IPPROTO_TCP, 101},
		{"2001:db8::10", 443, IPPROTO_UDP, 101},
	};
	int cpus = libbpf_num_possible_cpus(), zero = 0;
	struct classic_mac gw = {{2, 0, 0, 0, 0, 1}};
	static __u32 keys[CLASSIC_RING], slots[CLASSIC_RING];
	struct classic *c;

	if (argc != 2) {
		fprintf(stderr, "usage: classic PIN_PATH\n");
		return 2;
	}
	c = classic__open_and_load();
	must(!c ? -EINVAL : 0, "load");
	for (int i = 0; i < cpus && i < CLASSIC_CPUS; i++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "classic_lru", sizeof(struct classic_flow),
					sizeof(struct classic_session), CLASSIC_SESSIONS, NULL);
		must(fd < 0 ? fd : bpf_map_update_elem(bpf_map__fd(c->maps.lru_of_cpu), &i, &fd, 0), "lru");
	}
	must(bpf_map_update_elem(bpf_map__fd(c->maps.gateway), &zero, &gw, 0), "gateway");
	for (__u32 i = 1; i <= 200; i++) {
		struct classic_real r = {};
		char text[64];

		if (i <= 100)
			r.addr[0] = htonl(0xac140000 + i);
		else {
			snprintf(text, sizeof(text), "fd00:20::%x", i - 100);
			inet_pton(AF_INET6, text, r.addr);
		}
		must(bpf_map_update_elem(bpf_map__fd(c->maps.reals), &i, &r, 0), "reals");
	}
	for (__u32 n = 0; n < 4; n++) {
		struct classic_vip_key k = {.port = htons(listeners[n].port), .proto = listeners[n].proto};
		struct classic_vip v = {0, n};
		__u32 count = CLASSIC_RING;

		inet_pton(strchr(listeners[n].addr, ':') ? AF_INET6 : AF_INET, listeners[n].addr, k.addr);
		must(bpf_map_update_elem(bpf_map__fd(c->maps.vips), &k, &v, 0), "vips");
		/* Any spread over the servers costs the same to read; no need for Maglev's. */
		for (__u32 i = 0; i < CLASSIC_RING; i++) {
			keys[i] = n * CLASSIC_RING + i;
			slots[i] = listeners[n].first + (i * 2654435761u >> 12) % 100;
		}
		must(bpf_map_update_batch(bpf_map__fd(c->maps.ring), keys, slots, &count, NULL), "ring");
	}
	must(bpf_program__pin(c->progs.classic, argv[1]), "pin");
	return 0;
}
