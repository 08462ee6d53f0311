#include "sync_packer.h"

namespace spillway
{

namespace
{

constexpr uint64_t kFollowNs[] = {5'000'000, 20'000'000, 100'000'000, 1'000'000'000};
constexpr size_t kSteps = sizeof(kFollowNs) / sizeof(*kFollowNs);

template <typename T> void Append(std::vector<uint8_t> &to, const T &value)
{
	const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
	to.insert(to.end(), bytes, bytes + sizeof(value));
}

} // namespace

void SyncPacker::Add(const SyncRecord &record, std::vector<Outgoing> &out)
{
	bool is4 = IsMapped4(record.client);
	size_t size = is4 ? sizeof(WireRecord4) : sizeof(WireRecord6);
	if (four_.size() + six_.size() + size > room_)
		Send(out);
	if (is4)
		Append(four_, ToWire4(record));
	else
		Append(six_, ToWire6(record));
}

void SyncPacker::Flush(std::vector<Outgoing> &out)
{
	if (!four_.empty() || !six_.empty())
		Send(out);
}

void SyncPacker::Send(std::vector<Outgoing> &out)
{
	SyncHeader header = {};
	header.magic = kSyncMagic;
	header.version = kSyncVersion;
	header.kind = kSyncData;
	header.bytes4 = sizeof(WireRecord4);
	header.bytes6 = sizeof(WireRecord6);
	header.node = self_.node;
	header.boot = self_.boot;
	header.sequence = ++sequence_;
	header.count4 = four_.size() / sizeof(WireRecord4);
	header.count6 = six_.size() / sizeof(WireRecord6);
	header.body_bytes = four_.size() + six_.size();
	four_.insert(four_.end(), six_.begin(), six_.end());
	uint8_t *to = ring_.Take(sequence_, kSyncOverhead + header.body_bytes);
	size_t size = WriteDatagram(to, header, four_.data(), keys_);
	four_.clear();
	six_.clear();
	out.push_back({true, {}, to, size});
	counters_.recordsSent += header.count4 + header.count6;
	sent_ = true;
}

void SyncPacker::Follow(uint64_t now_ns, std::vector<Outgoing> &out)
{
	if (sent_) {
		follow_step_ = 0;
		follow_at_ns_ = now_ns + kFollowNs[0];
	} else if (now_ns >= follow_at_ns_) {
		Send(out);
		follow_step_ = follow_step_ + 1 < kSteps ? follow_step_ + 1 : kSteps - 1;
		follow_at_ns_ = now_ns + kFollowNs[follow_step_];
	}
	sent_ = false;
}

} // namespace spillway
