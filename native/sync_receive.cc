/* SyncCore's receiving half. */
#include "sync_core.h"

namespace spillway
{

namespace
{

constexpr size_t kMostEvents = 1024;
constexpr size_t kMostStrangeEvents = 64;
constexpr size_t kMostAsked = 8192;

} // namespace

bool SyncCore::IsWellFormed(const uint8_t *datagram, size_t size, SyncHeader &header)
{
	if (size < kSyncOverhead) {
		counters_.droppedMalformed++;
		return false;
	}
	memcpy(&header, datagram, sizeof(header));
	if (header.magic != kSyncMagic || header.version == 0) {
		counters_.droppedMalformed++;
		return false;
	}
	if (header.version > kSyncVersion) {
		counters_.droppedVersion++;
		return false;
	}
	if (header.body_bytes != size - kSyncOverhead) {
		counters_.droppedMalformed++;
		return false;
	}
	if (!keys_.Check(datagram, size)) {
		counters_.droppedUnauthenticated++;
		return false;
	}
	return true;
}

void SyncCore::Receive(const uint8_t *datagram, size_t size, const SyncEndpoint &from, uint64_t now_ns)
{
	SyncHeader header;
	counters_.datagramsReceived++;
	counters_.bytesReceived += size;
	if (!IsWellFormed(datagram, size, header))
		return;
	const SyncPeer *peer = FindPeer(header.node);
	bool own = header.node == settings_.self.node && header.boot == settings_.self.boot;
	if (own || (peer != nullptr && header.boot < peer->boot)) {
		counters_.droppedReplayed++;
		return;
	}
	const uint8_t *body = datagram + sizeof(header);
	switch (header.kind) {
	case kSyncData:
		ReceiveData(header, body, from, now_ns);
		break;
	case kSyncControl:
		ReceiveControl(header, body, from, now_ns);
		break;
	case kSyncNack:
		ReceiveNack(header, body, from);
		break;
	default:
		counters_.droppedMalformed++;
	}
}

void SyncCore::NoteLost(SyncPeer &peer, uint64_t datagrams)
{
	peer.given_up += datagrams;
	peer.lost += datagrams;
	counters_.givenUp += datagrams;
}

void SyncCore::NoteMissing(SyncPeer &peer, uint64_t first, uint64_t last, uint64_t now_ns)
{
	peer.missed += last - first + 1;
	counters_.missed += last - first + 1;
	NoteLost(peer, peer.gaps.Miss(first, last, now_ns, peer.data));
}

/* Returns for how long it has been missing. */
uint64_t SyncCore::NoteData(SyncPeer &peer, uint64_t sequence, uint64_t now_ns)
{
	uint64_t highest = peer.data.highest();
	std::optional<uint64_t> since;
	if (sequence > highest) {
		/* What was sent before the first one that we see is in the table that we fetch. */
		if (peer.contact && sequence > highest + 1)
			NoteMissing(peer, highest + 1, sequence - 1, now_ns);
	} else {
		since = peer.gaps.Fill(sequence);
	}
	peer.contact = true;
	peer.data.Mark(sequence);
	if (!since)
		return 0;
	peer.repaired++;
	counters_.repaired++;
	return now_ns > *since ? now_ns - *since : 0;
}

void SyncCore::ReceiveData(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from, uint64_t now_ns)
{
	SyncPeer *peer = FindPeer(header.node);
	if (peer == nullptr || peer->boot != header.boot) {
		counters_.droppedUnadmitted++;
		return;
	}
	if (!peer->data.IsFresh(header.sequence)) {
		counters_.droppedReplayed++;
		return;
	}
	uint64_t late_ns = NoteData(*peer, header.sequence, now_ns);
	peer->from = from;
	peer->reachable = true;
	peer->datagrams++;
	size_t records =
		header.count4 * static_cast<size_t>(header.bytes4) + header.count6 * static_cast<size_t>(header.bytes6);
	if ((header.count4 > 0 && header.bytes4 < sizeof(WireRecord4)) ||
	    (header.count6 > 0 && header.bytes6 < sizeof(WireRecord6)) || records > header.body_bytes) {
		counters_.droppedMalformed++;
		return;
	}
	MergeData(*peer, header, body, late_ns, now_ns);
}

void SyncCore::MergeData(SyncPeer &peer, const SyncHeader &header, const uint8_t *body, uint64_t late_ns,
			 uint64_t now_ns)
{
	size_t count = header.count4 + header.count6;
	if (count == 0)
		return;
	records_.clear();
	for (size_t i = 0; i < header.count4; i++, body += header.bytes4)
		records_.push_back(FromWire4(body));
	for (size_t i = 0; i < header.count6; i++, body += header.bytes6)
		records_.push_back(FromWire6(body));
	SyncView view = store_->View(now_ns);
	/* Ages are of when it was sent; it was missed about then. */
	uint32_t late = view.tick_ns == 0 ? 0 : (late_ns + view.tick_ns / 2) / view.tick_ns;
	uint16_t origin = peer.node & 0xffff;
	MergeCounts merged;
	store_->Merge(records_.data(), count, view, {late, static_cast<uint16_t>(origin != 0 ? origin : 1)}, merged);
	peer.records += count;
	counters_.recordsReceived += count;
	counters_.recordsApplied += merged.applied;
	counters_.recordsStale += merged.stale;
	counters_.recordsUnknown += merged.unknown;
	counters_.recordsNoRoom += merged.no_room;
}

/* A node that says how far its DATA has come: what has not is on its way no more. */
void SyncCore::NoteSent(SyncPeer &peer, uint64_t last_data, uint64_t now_ns)
{
	if (last_data <= peer.data.highest())
		return;
	if (peer.contact)
		NoteMissing(peer, peer.data.highest() + 1, last_data, now_ns);
	peer.contact = true;
	peer.data.Advance(last_data);
}

void SyncCore::ReceiveControl(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from, uint64_t now_ns)
{
	WireControl head;
	if (header.body_bytes < sizeof(head)) {
		counters_.droppedMalformed++;
		return;
	}
	memcpy(&head, body, sizeof(head));
	SyncPeer *peer = FindPeer(header.node);
	bool admitted = peer != nullptr && peer->boot == header.boot;
	if (admitted) {
		if (!peer->control.IsFresh(header.sequence)) {
			counters_.droppedReplayed++;
			return;
		}
		peer->control.Mark(header.sequence);
		peer->from = from;
		peer->reachable = true;
		NoteSent(*peer, head.last_data, now_ns);
	} else {
		if (strange_events_ >= kMostStrangeEvents) {
			counters_.droppedUnadmitted++;
			return;
		}
		if (!strangers_->Note(header.node, header.boot, header.sequence, head.last_data)) {
			counters_.droppedReplayed++;
			return;
		}
	}
	if (events_.size() >= kMostEvents) {
		counters_.droppedUnadmitted++;
		return;
	}
	strange_events_ += !admitted;
	events_.push_back(
		{{header.node, header.boot}, admitted, from, {body + sizeof(head), body + header.body_bytes}});
}

/* Of what is asked for, what is still kept. Those who ask again before it was their turn are in the queue already. */
void SyncCore::NoteAsked(const SyncEndpoint &by, uint32_t node, const WireRange &range)
{
	uint64_t newest = packer_.sequence(), oldest = newest < SyncRing::kKept ? 1 : newest - SyncRing::kKept + 1;
	uint64_t first = std::max(range.first, oldest);
	for (uint64_t n = first; n <= newest && n - range.first < range.count && asked_.size() < kMostAsked; n++)
		if (asking_.insert(AskKey(node, n)).second)
			asked_.push_back({by, n, node});
}

void SyncCore::ReceiveNack(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from)
{
	SyncPeer *peer = FindPeer(header.node);
	if (peer == nullptr || peer->boot != header.boot) {
		counters_.droppedUnadmitted++;
		return;
	}
	if (!peer->control.IsFresh(header.sequence)) {
		counters_.droppedReplayed++;
		return;
	}
	peer->control.Mark(header.sequence);
	WireNack head;
	if (header.body_bytes < sizeof(head) || (header.body_bytes - sizeof(head)) % sizeof(WireRange) != 0) {
		counters_.droppedMalformed++;
		return;
	}
	memcpy(&head, body, sizeof(head));
	if (head.node != settings_.self.node || head.boot != settings_.self.boot) {
		counters_.droppedReplayed++; /* meant for a boot of ours that is no more */
		return;
	}
	for (size_t at = sizeof(head); at < header.body_bytes; at += sizeof(WireRange)) {
		WireRange range;
		memcpy(&range, body + at, sizeof(range));
		NoteAsked(from, header.node, range);
	}
}

} // namespace spillway
