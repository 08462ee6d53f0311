/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Port mapping on the way out (tc): what comes from the host's own address and port comes from the VIP's mapped port.
 * Checksums may be left for the device to fill in, which only the kernel's helpers know of. They may move the packet,
 * so all that is read is read before the first of them.
 */
#ifndef SPILLWAY_DECAP_PORTS_OUT_H
#define SPILLWAY_DECAP_PORTS_OUT_H

#include <stddef.h>

#include "decap_ports.h"

#define NOT_MAPPED     (-1)
#define MAPPING_FAILED (-2)

static __always_inline const struct decap_port *find_mapping(const struct address *host, __be16 host_port,
							     __u8 protocol, const struct address *client)
{
	struct decap_port_key key = {.address = *host, .port = host_port, .protocol = protocol};
	const struct decap_port *port = bpf_map_lookup_elem(&decap_out_v2, &key);

	if (!port || !is_exempt(client))
		return port;
	count_event(DECAP_EVENT_EXEMPT_OUT);
	return NULL;
}

/* The steps below give 0, or what the kernel refused them with: the packet is half done then, and must not go. */

static __always_inline long set_address(struct __sk_buff *skb, __u32 at, const struct decap_port *port, int v6)
{
	return v6 ? bpf_skb_store_bytes(skb, at, port->address.bytes, 16, 0)
		  : bpf_skb_store_bytes(skb, at, &port->address.words[3], 4, 0);
}

static __always_inline long set_source(struct __sk_buff *skb, const struct parts *parts, const struct decap_port *port)
{
	__u32 ip = parts->ip_at;

	if (parts->v6)
		return set_address(skb, ip + offsetof(struct ipv6hdr, saddr), port, 1);
	return bpf_l3_csum_replace(skb, ip + offsetof(struct iphdr, check), 0, port->address_sum, 0) ||
	       set_address(skb, ip + offsetof(struct iphdr, saddr), port, 0);
}

static __always_inline long set_destination_of(struct __sk_buff *skb, const struct parts *parts,
					       const struct decap_port *port, __u16 check)
{
	__u32 ip = parts->ip_at;

	if (parts->v6)
		return set_address(skb, ip + offsetof(struct ipv6hdr, daddr), port, 1);
	return bpf_skb_store_bytes(skb, ip + offsetof(struct iphdr, check), &check, sizeof(check), 0) ||
	       set_address(skb, ip + offsetof(struct iphdr, daddr), port, 0);
}

static __always_inline int mapped(const struct decap_port *port, enum decap_event event, long failed)
{
	count_event(failed ? DECAP_EVENT_DROPPED_OUT : event);
	return failed ? MAPPING_FAILED : (int)port->slot;
}

static __always_inline int map_later_out(struct __sk_buff *skb, const struct parts *parts)
{
	struct decap_datagram key = datagram_of(parts);
	const struct decap_port *port = bpf_map_lookup_elem(&decap_parts_v2, &key);

	if (!port)
		return NOT_MAPPED;
	return mapped(port, DECAP_EVENT_MAPPED_LATER_OUT, set_source(skb, parts, port));
}

static __always_inline int map_flow_out(struct __sk_buff *skb, void *data, void *end, const struct parts *parts)
{
	__be16 *ports = held(parts, data, end, parts->l4_at, PORTS_BYTES);
	__u32 check = check_at(parts);
	const struct decap_port *port;
	__u64 flags = parts->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	if (!ports || !held(parts, data, end, check, sizeof(__u16)))
		return NOT_MAPPED;
	port = find_mapping(&parts->source, ports[0], parts->protocol, &parts->destination);
	note_fragment(parts, port);
	if (!port)
		return NOT_MAPPED;
	return mapped(port, DECAP_EVENT_MAPPED_OUT,
		      set_source(skb, parts, port) ||
			      bpf_l4_csum_replace(skb, check, 0, port->address_sum, flags | BPF_F_PSEUDO_HDR) ||
			      bpf_l4_csum_replace(skb, check, 0, port->port_sum, flags) ||
			      bpf_skb_store_bytes(skb, parts->l4_at, &port->port, sizeof(port->port), 0));
}

/* This host tells the client of a request, which it quotes as it was delivered: to its own address and port. */
static __always_inline int map_icmp_out(struct __sk_buff *skb, void *data, void *end, const struct parts *parts)
{
	struct icmp_head *icmp = held(parts, data, end, parts->l4_at, sizeof(*icmp));
	struct parts quoted = {.ip_at = parts->l4_at + sizeof(struct icmp_head)};
	__u32 sum, icmp_check = parts->l4_at + offsetof(struct icmp_head, checksum);
	__u16 *check, l3_check = 0, l4_check = 0, before;
	const struct decap_port *port;
	struct iphdr *ip;
	__be16 *ports;

	if (!icmp || !is_icmp_error(parts, icmp->type))
		return NOT_MAPPED;
	if (quoted.ip_at > FURTHEST || locate(data, end, &quoted) || quoted.v6 != parts->v6 || !has_ports(&quoted) ||
	    quoted.fragment == LATER_FRAGMENT || !same_address(&quoted.destination, &parts->source))
		return NOT_MAPPED;
	ports = held(parts, data, end, quoted.l4_at, PORTS_BYTES);
	if (!ports)
		return NOT_MAPPED;
	port = find_mapping(&quoted.destination, ports[1], quoted.protocol, &quoted.source);
	if (!port)
		return NOT_MAPPED;
	sum = port->port_sum + port->address_sum;
	ip = data + quoted.ip_at;
	if (!quoted.v6) {
		if ((void *)(ip + 1) > end)
			return NOT_MAPPED;
		before = ip->check;
		l3_check = changed_check(before, port->address_sum);
		sum += (__u16)~before + l3_check;
	}
	check = held(parts, data, end, check_at(&quoted), sizeof(*check));
	if (check) {
		before = *check;
		l4_check = changed_l4_check(quoted.protocol, before, port->address_sum + port->port_sum);
		sum += (__u16)~before + l4_check;
	}
	return mapped(
		port, DECAP_EVENT_MAPPED_ICMP_OUT,
		set_destination_of(skb, &quoted, port, l3_check) ||
			bpf_skb_store_bytes(skb, quoted.l4_at + sizeof(__be16), &port->port, sizeof(port->port), 0) ||
			(check && bpf_skb_store_bytes(skb, check_at(&quoted), &l4_check, sizeof(l4_check), 0)) ||
			bpf_l4_csum_replace(skb, icmp_check, 0, sum, 0) ||
			(parts->v6 && bpf_l4_csum_replace(skb, icmp_check, 0, port->address_sum, BPF_F_PSEUDO_HDR)) ||
			set_source(skb, parts, port));
}

/* `at`: of the IP header. The slot of the VIP that the packet now comes from, or one of the two above. */
__noinline int map_out(struct __sk_buff *skb, __u32 at)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct parts parts = {.ip_at = at};
	__u32 whole = skb->len < FURTHEST ? skb->len : FURTHEST;

	if (at > FURTHEST_LINK_AT || locate(data, end, &parts))
		return NOT_MAPPED;
	/* Segments to be cut by the device may be more than a length field can say: it is 0 then. */
	if (parts.end == parts.ip_at + (parts.v6 ? sizeof(struct ipv6hdr) : 0))
		parts.end = skb->len;
	if (parts.fragment == LATER_FRAGMENT)
		return map_later_out(skb, &parts);
	if (has_ports(&parts))
		return map_flow_out(skb, data, end, &parts);
	if (data + whole > end) {
		if (bpf_skb_pull_data(skb, whole))
			return NOT_MAPPED;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	return map_icmp_out(skb, data, end, &parts);
}

#endif
