// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The load balancer's data path: session first, VIP second. README.md shows the way of a packet and the maps.
 */
#include "capture.h"
#include "route.h"
#include "icmp.h"
#include "fragment.h"
#include "too_big.h"
#include "segment.h"
#include "encap.h"
#include "established.h"

/* Service limits of a SYN alone: the established do without a look at the service. */
static __always_inline void lower_offer(struct xdp_md *ctx, struct work *work)
{
	struct service *service = service_at(work->service_id);

	if (service && service->max_segment)
		clamp_segment(ctx, work, service->max_segment);
}

/* The backend is known: out it goes, counted. */
static __always_inline int deliver(struct xdp_md *ctx, struct work *work)
{
	const struct packet *packet = &work->packet;
	struct backend *backend = backend_up(work->backend_id);
	bool steered = backend && backend->flags & BACKEND_STEERED;
	int reason, verdict;

	if (!backend)
		return finish(ctx, DROP_BACKEND_DOWN, work);
	reason = steered ? check_steered(packet, backend) : check_forwarding(packet, backend);
	if (reason == DROP_TOO_BIG)
		reason = answer_too_big(ctx, work, room_within(backend));
	if (reason != VERDICT_NONE)
		return finish(ctx, reason, work);
	if (packet->tcp_flags & TCP_SYN)
		lower_offer(ctx, work);
	verdict = steered ? forward_steered(ctx, packet, backend) : forward(ctx, packet, backend);
	if (verdict == XDP_DROP)
		return verdict;
	count_traffic(&svc_counters_v2, work->service_id, packet->frame_bytes, work->fresh, work->tracked);
	count_traffic(&be_counters_v2, work->backend_id, packet->frame_bytes, work->fresh, work->tracked);
	return verdict;
}

static __noinline int long_way(struct xdp_md *ctx)
{
	struct work *work = this_work();
	struct packet *packet;
	struct settings *settings;
	__u32 zero = 0;
	int reason;

	settings = bpf_map_lookup_elem(&settings_v2, &zero);
	if (!settings || !work)
		return count_reason(DROP_INTERNAL);
	packet = &work->packet;
	reason = parse_frame(ctx, packet);
	if (reason >= 0 && reason < FIRST_ANSWER)
		return count_reason(reason);
	if (!is_own_mac(packet->mac, settings))
		return count_reason(PASS_OTHER_MAC);
	packet->tick = bpf_jiffies64() >> settings->tick_shift;
	work->service_id = work->backend_id = 0;
	work->fresh = work->tracked = work->record_syn = false;
	if (reason == VERDICT_NONE) {
		packet->tag = flow_fingerprint(packet, settings);
		reason = route(ctx, work, settings);
		if (packet->fragment && reason == VERDICT_NONE)
			remember_fragment(work);
	} else if (service_of(packet) == NO_VIP) {
		/* The filter lets some strangers through: only the VIP map tells. */
		reason = PASS_NOT_VIP;
	} else if (reason == KIND_ICMP) {
		reason = handle_icmp(ctx, work);
	} else if (reason == KIND_LATER) {
		reason = route_fragment(ctx, work);
	}
	return reason == VERDICT_NONE ? deliver(ctx, work) : finish(ctx, reason, work);
}

static __always_inline int balance(struct xdp_md *ctx)
{
	int verdict = short_way(ctx);

	return verdict == LONG_WAY ? long_way(ctx) : verdict;
}

SEC("xdp")
int lb(struct xdp_md *ctx)
{
	int wanted = config.capture && set_aside(ctx), verdict = balance(ctx);

	if (wanted)
		hand_over(this_work());
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
