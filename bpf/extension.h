/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv6 extension headers between the IPv6 header and the transport (RFC 8200, section 4), walked within bounds. Those
 * of a packet that came and those of a packet that an ICMP error quotes are walked alike.
 */
#ifndef SPILLWAY_EXTENSION_H
#define SPILLWAY_EXTENSION_H

#include "packet.h"

#define MAX_EXTENSIONS	    6
#define MAX_EXTENSION_BYTES 256

struct extension {
	__u8 next;
	__u8 length;
	union {
		struct {
			__u8 type;
			__u8 segments_left;
		} routing;
		__be16 offset; /* and flags; of a fragment */
	};
	__be32 id;
};

struct walk {
	__u32 at;	 /* the next header, from the frame's start */
	__u32 stop;	 /* where the packet ends */
	__u8 next;	 /* its number */
	__u8 fragment;	 /* enum fragment */
	bool fragmented; /* there was a fragment header */
	__be32 id;
};

static __always_inline bool is_extension(__u8 header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_DSTOPTS ||
	       header == IPPROTO_AH || header == IPPROTO_FRAGMENT;
}

/* VERDICT_NONE, or why this header is refused. */
static __always_inline int check_extension(const struct extension *header, struct walk *walk, bool first)
{
	switch (walk->next) {
	case IPPROTO_HOPOPTS:
		return first ? VERDICT_NONE : DROP_EXTENSION;
	case IPPROTO_ROUTING:
		/* RFC 5095; and what still has somewhere to go is not for this address. */
		return header->routing.type && !header->routing.segments_left ? VERDICT_NONE : DROP_EXTENSION;
	case IPPROTO_FRAGMENT:
		if (walk->fragmented)
			return DROP_EXTENSION;
		walk->fragmented = true;
		walk->id = header->id;
		if (header->offset & bpf_htons(0xfff8))
			walk->fragment = FRAGMENT_LATER;
		else if (header->offset & bpf_htons(1))
			walk->fragment = FRAGMENT_FIRST;
		/* Else it is whole: RFC 6946. */
		return VERDICT_NONE;
	default:
		return VERDICT_NONE;
	}
}

/*
 * On VERDICT_NONE `walk` is at the transport header; or, of a later fragment, behind the fragment header, and `next` is
 * what the datagram's first fragment has there. Not inlined: it is verified once, and does not know what it is given.
 */
__noinline int walk_extensions(struct xdp_md *ctx, struct walk *walk)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct extension *header;
	__u32 bytes, limit;
	int reason;

	if (!walk)
		return DROP_INTERNAL;
	limit = walk->at + MAX_EXTENSION_BYTES;
	for (int i = 0; i <= MAX_EXTENSIONS; i++) {
		if (!is_extension(walk->next) || walk->fragment == FRAGMENT_LATER)
			return VERDICT_NONE;
		if (i == MAX_EXTENSIONS)
			break;
		header = data + (walk->at & 0x3ff);
		if (walk->at + sizeof(*header) > walk->stop || (void *)(header + 1) > end)
			return DROP_MALFORMED;
		reason = check_extension(header, walk, i == 0);
		if (reason != VERDICT_NONE)
			return reason;
		bytes = (header->length + 1) * 8;
		if (walk->next == IPPROTO_AH)
			bytes = (header->length + 2) * 4;
		else if (walk->next == IPPROTO_FRAGMENT)
			bytes = sizeof(*header);
		walk->next = header->next;
		walk->at += bytes;
		if (walk->at > limit)
			break;
	}
	return DROP_EXTENSION;
}

#endif
