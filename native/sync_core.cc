#include "sync_core.h"

namespace spillway
{

namespace
{

constexpr size_t kMostWaiting = 256;
constexpr uint64_t kMostAPoll = SyncRing::kKept / 2; /* datagrams announced by one poll, generously */
constexpr size_t kLeastAgainPerSecond = 2000;

} // namespace

SyncCore::SyncCore(std::shared_ptr<SyncStore> store, session_log *logs, size_t cpus, SyncCoreSettings settings)
    : store_(std::move(store)), settings_(std::move(settings)), keys_(settings_.keys),
      packer_(settings_.self, settings_.datagram_bytes, keys_, counters_), announcer_(*store_, logs, cpus, counters_),
      strangers_(std::make_unique<SyncStrangers>())
{
	SetRate(settings_.records_per_second);
}

void SyncCore::SetKeys(std::vector<SyncKey> keys)
{
	keys_ = SyncKeys(std::move(keys));
}

void SyncCore::SetRate(uint32_t records_per_second)
{
	announcer_.SetRate(records_per_second);
	again_.SetRate(std::max<double>(kLeastAgainPerSecond, records_per_second / 10.0));
}

SyncPeer *SyncCore::FindPeer(uint32_t node)
{
	auto found = peers_.find(node);
	return found == peers_.end() ? nullptr : found->second.get();
}

bool SyncCore::Admit(uint32_t node, uint64_t boot)
{
	SyncPeer *known = FindPeer(node);
	if (known != nullptr && known->boot >= boot)
		return true;
	if (known == nullptr && peers_.size() >= kMostPeers)
		return false;
	SyncStrangers::Stranger before = strangers_->Take(node, boot);
	auto peer = std::make_unique<SyncPeer>();
	peer->node = node;
	peer->boot = boot;
	peer->data.Start(before.data);
	peer->control.Start(before.control);
	peer->contact = before.heard != 0; /* it said how far its DATA had come: what follows is ours */
	peers_[node] = std::move(peer);
	return true;
}

void SyncCore::Forget(uint32_t node)
{
	peers_.erase(node);
}

size_t SyncCore::most_control_bytes() const
{
	return settings_.datagram_bytes - kSyncOverhead - sizeof(WireControl);
}

bool SyncCore::Control(std::vector<uint8_t> body, const SyncEndpoint *to)
{
	if (waiting_.size() >= kMostWaiting)
		return false;
	waiting_.push_back({to == nullptr, to != nullptr ? *to : SyncEndpoint{}, std::move(body)});
	return true;
}

const std::vector<Outgoing> &SyncCore::Poll(uint64_t now_ns)
{
	out_.clear();
	made_.clear();
	busy_ = false;
	SendControl();
	SendAgain(now_ns);
	AskAgain(now_ns);
	busy_ |= announcer_.Poll(now_ns, packer_, out_);
	packer_.Flush(out_);
	packer_.Follow(now_ns, out_);
	busy_ |= !asked_.empty() || !out_.empty();
	return out_;
}

void SyncCore::Put(SyncKind kind, bool everyone, const SyncEndpoint &to, const std::vector<uint8_t> &body)
{
	SyncHeader header = {};
	header.magic = kSyncMagic;
	header.version = kSyncVersion;
	header.kind = kind;
	header.node = settings_.self.node;
	header.boot = settings_.self.boot;
	header.sequence = ++control_sequence_;
	header.body_bytes = body.size();
	made_.emplace_back(kSyncOverhead + body.size());
	size_t size = WriteDatagram(made_.back().data(), header, body.data(), keys_);
	out_.push_back({everyone, to, made_.back().data(), size});
}

void SyncCore::SendControl()
{
	for (; !waiting_.empty(); waiting_.pop_front()) {
		Waiting &next = waiting_.front();
		WireControl head = {packer_.sequence()};
		std::vector<uint8_t> body(sizeof(head) + next.body.size());
		memcpy(body.data(), &head, sizeof(head));
		if (!next.body.empty())
			memcpy(&body[sizeof(head)], next.body.data(), next.body.size());
		Put(kSyncControl, next.everyone, next.to, body);
	}
}

void SyncCore::SendAgain(uint64_t now_ns)
{
	again_.Refill(now_ns);
	for (; !asked_.empty() && again_.Take(); asked_.pop_front()) {
		asking_.erase(AskKey(asked_.front().node, asked_.front().sequence));
		SyncRing::Datagram kept = packer_.ring().Find(asked_.front().sequence);
		if (kept.data == nullptr)
			continue; /* they will give it up, and compare */
		const uint8_t *data = kept.data;
		bool stale_key = !keys_.IsCurrent(data); /* it may be accepted no more */
		/* What is announced in this very poll may take the place of the oldest. */
		bool soon_gone = packer_.sequence() - asked_.front().sequence > SyncRing::kKept - kMostAPoll;
		if (stale_key || soon_gone) {
			made_.emplace_back(data, data + kept.size);
			data = made_.back().data();
		}
		if (stale_key)
			keys_.Sign(made_.back().data(), kept.size);
		out_.push_back({false, asked_.front().by, data, kept.size});
		counters_.retransmitted++;
	}
}

void SyncCore::AskAgain(uint64_t now_ns)
{
	size_t most = (settings_.datagram_bytes - kSyncOverhead - sizeof(WireNack)) / sizeof(WireRange);
	for (auto &[node, peer] : peers_) {
		uint64_t given_up = 0;
		std::vector<WireRange> ranges = peer->gaps.Due(now_ns, most, peer->data, given_up);
		NoteLost(*peer, given_up);
		busy_ |= !peer->gaps.empty();
		if (ranges.empty() || !peer->reachable)
			continue;
		WireNack head = {node, 0, peer->boot};
		std::vector<uint8_t> body(sizeof(head) + ranges.size() * sizeof(WireRange));
		memcpy(body.data(), &head, sizeof(head));
		memcpy(&body[sizeof(head)], ranges.data(), ranges.size() * sizeof(WireRange));
		Put(kSyncNack, false, peer->from, body);
	}
}

bool SyncCore::HasLosses() const
{
	if (announcer_.HasUnannounced())
		return true;
	for (const auto &[node, peer] : peers_)
		if (peer->lost > 0)
			return true;
	return false;
}

SyncEventBatch SyncCore::TakeEvents()
{
	SyncEventBatch batch;
	batch.control.swap(events_);
	strange_events_ = 0;
	for (auto &[node, peer] : peers_)
		if (peer->lost > 0)
			batch.lost.push_back({{node, peer->boot}, std::exchange(peer->lost, 0)});
	batch.unannounced = announcer_.TakeUnannounced();
	return batch;
}

} // namespace spillway
