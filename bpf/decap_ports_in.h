/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Port mapping on the way in (XDP): what goes to a VIP's mapped port goes to the host's own address and port. */
#ifndef SPILLWAY_DECAP_PORTS_IN_H
#define SPILLWAY_DECAP_PORTS_IN_H

#include "decap_ports.h"

static __always_inline void set_destination(void *data, void *end, const struct parts *parts,
					    const struct decap_port *port)
{
	struct iphdr *ip = data + parts->ip_at;
	struct ipv6hdr *ip6 = data + parts->ip_at;

	if (parts->v6) {
		if ((void *)(ip6 + 1) <= end)
			__builtin_memcpy(&ip6->daddr, port->address.bytes, sizeof(ip6->daddr));
	} else if ((void *)(ip + 1) <= end) {
		ip->daddr = port->address.words[3];
		ip->check = changed_check(ip->check, port->address_sum);
	}
}

static __always_inline const struct decap_port *find_mapped(const struct address *vip, __be16 vip_port, __u8 protocol,
							    const struct address *client)
{
	struct decap_port_key key = {.address = *vip, .port = vip_port, .protocol = protocol};
	const struct decap_port *port = bpf_map_lookup_elem(&decap_in_v2, &key);

	if (!port || !is_exempt(client))
		return port;
	count_event(DECAP_EVENT_EXEMPT_IN);
	return NULL;
}

static __always_inline int map_later_in(void *data, void *end, const struct parts *parts)
{
	struct decap_datagram key = datagram_of(parts);
	const struct decap_port *port = bpf_map_lookup_elem(&decap_parts_v2, &key);

	if (!port)
		return 0;
	set_destination(data, end, parts, port);
	count_event(DECAP_EVENT_MAPPED_LATER_IN);
	return 0;
}

static __always_inline int map_flow_in(void *data, void *end, const struct parts *parts)
{
	__be16 *ports = held(parts, data, end, parts->l4_at, PORTS_BYTES);
	__u16 *check = held(parts, data, end, check_at(parts), sizeof(*check));
	const struct decap_port *port;

	if (!ports || !check)
		return 0;
	port = find_mapped(&parts->destination, ports[1], parts->protocol, &parts->source);
	note_fragment(parts, port);
	if (!port)
		return 0;
	ports[1] = port->port;
	*check = changed_l4_check(parts->protocol, *check, port->address_sum + port->port_sum);
	set_destination(data, end, parts, port);
	count_event(DECAP_EVENT_MAPPED_IN);
	return 0;
}

/*
 * A router on the way to the client tells of a reply, which it quotes: from the VIP, from its mapped port. The socket
 * knows that packet by its own address and port alone. All that changes within counts in the ICMP checksum.
 */
static __always_inline int map_icmp_in(void *data, void *end, const struct parts *parts)
{
	struct icmp_head *icmp = held(parts, data, end, parts->l4_at, sizeof(*icmp));
	struct parts quoted = {.ip_at = parts->l4_at + sizeof(struct icmp_head)};
	const struct decap_port *port;
	struct iphdr *ip;
	struct ipv6hdr *ip6;
	__u16 *check, before;
	__be16 *ports;
	__u32 sum;

	if (!icmp || !is_icmp_error(parts, icmp->type))
		return 0;
	if (quoted.ip_at > FURTHEST || locate(data, end, &quoted) || quoted.v6 != parts->v6 || !has_ports(&quoted) ||
	    quoted.fragment == LATER_FRAGMENT || !same_address(&quoted.source, &parts->destination))
		return 0;
	ports = held(parts, data, end, quoted.l4_at, PORTS_BYTES);
	if (!ports)
		return 0;
	port = find_mapped(&quoted.source, ports[0], quoted.protocol, &quoted.destination);
	if (!port)
		return 0;
	ports[0] = port->port;
	sum = port->port_sum + port->address_sum;
	ip = data + quoted.ip_at;
	ip6 = data + quoted.ip_at;
	if (quoted.v6) {
		if ((void *)(ip6 + 1) > end)
			return 0;
		__builtin_memcpy(&ip6->saddr, port->address.bytes, sizeof(ip6->saddr));
		sum += port->address_sum; /* of the pseudo header: the packet's own destination */
	} else {
		if ((void *)(ip + 1) > end)
			return 0;
		ip->saddr = port->address.words[3];
		before = ip->check;
		ip->check = changed_check(before, port->address_sum);
		sum += (__u16)~before + ip->check;
	}
	/* Eight bytes of the transport may be all there is of it. */
	check = held(parts, data, end, check_at(&quoted), sizeof(*check));
	if (check) {
		before = *check;
		*check = changed_l4_check(quoted.protocol, before, port->address_sum + port->port_sum);
		sum += (__u16)~before + *check;
	}
	icmp->checksum = changed_check(icmp->checksum, sum);
	set_destination(data, end, parts, port);
	count_event(DECAP_EVENT_MAPPED_ICMP_IN);
	return 0;
}

/* `at`: of the IP header. Nothing is dropped here: what is not understood is the kernel's, as it came. */
__noinline int map_in(struct xdp_md *ctx, __u32 at)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct parts parts = {.ip_at = at};

	if (at > FURTHEST_LINK_AT || locate(data, end, &parts) || parts.end > frame_bytes(ctx))
		return 0;
	if (parts.fragment == LATER_FRAGMENT)
		return map_later_in(data, end, &parts);
	return has_ports(&parts) ? map_flow_in(data, end, &parts) : map_icmp_in(data, end, &parts);
}

#endif
