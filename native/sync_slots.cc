#include "sync_slots.h"

namespace spillway
{

namespace
{

constexpr uint32_t kMaxRoomSkip = 1024;

/* bpf/session_insert.h, enum victim_rank. */
enum Rank : uint32_t { kRankExpired, kRankClosing, kRankYoung, kRankOld, kRankNone };

uint32_t EvictionScore(uint64_t value, uint32_t tick, const SyncDictionary &names)
{
	uint32_t state = StateOf(value) & 3, limit = names.Timeout(ServiceOf(value), state);
	uint32_t idle = IdleTicks(value, tick), rank;

	if (idle > limit)
		rank = kRankExpired;
	else if (state == SESSION_CLOSING)
		rank = kRankClosing;
	else if (state == SESSION_YOUNG)
		rank = kRankYoung;
	else
		rank = idle > limit / 2 ? kRankOld : kRankNone;
	return rank << TICK_BITS | (TICK_MASK - idle);
}

} // namespace

uint32_t SessionSlots::FirstBucket(uint64_t tag) const
{
	return static_cast<uint64_t>(static_cast<uint32_t>(tag)) * buckets_ >> 32;
}

uint32_t SessionSlots::SecondBucket(uint64_t tag) const
{
	uint32_t first = FirstBucket(tag), second = (tag >> 32) * buckets_ >> 32;

	if (second != first)
		return second;
	return first + 1 == buckets_ ? 0 : first + 1;
}

void SessionSlots::Prefetch(uint64_t tag) const
{
	uint32_t first = FirstSlot(tag);
	__builtin_prefetch(&slots_[first], 1);
	__builtin_prefetch(&slots_[SecondBucket(tag) * SLOTS_PER_BUCKET], 1);
	/* Most go to one of the first two slots: their details are one line. */
	__builtin_prefetch(&details_[first], 1);
}

std::optional<SlotHit> SessionSlots::FindIn(uint32_t bucket, uint64_t tag) const
{
	for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
		if (LoadWord(slots_[i].tag) != tag)
			continue;
		uint64_t value = LoadWord(slots_[i].value);
		/* Between the two loads the slot may have gone to another flow. */
		if (value != 0 && LoadWord(slots_[i].tag) == tag)
			return SlotHit{i, value};
	}
	return std::nullopt;
}

std::optional<SlotHit> SessionSlots::Find(uint64_t tag) const
{
	uint32_t first = FirstBucket(tag), second = SecondBucket(tag);
	if (auto hit = FindIn(first, tag))
		return hit;
	if (auto hit = FindIn(second, tag))
		return hit;
	/* It may have moved from the second to the first while we looked. */
	return FindIn(first, tag);
}

std::optional<SlotHit> SessionSlots::FindOther(uint64_t tag, uint32_t own) const
{
	for (uint32_t bucket : {FirstBucket(tag), SecondBucket(tag)})
		for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
			if (i == own || LoadWord(slots_[i].tag) != tag)
				continue;
			uint64_t value = LoadWord(slots_[i].value);
			if (value != 0 && LoadWord(slots_[i].tag) == tag)
				return SlotHit{i, value};
		}
	return std::nullopt;
}

bool SessionSlots::Withdraw(uint32_t index, uint64_t tag, uint64_t value)
{
	return ExchangeWord(slots_[index].value, value, 0) && ExchangeWord(slots_[index].tag, tag, 0);
}

uint32_t SessionSlots::FreeSlots(uint32_t bucket) const
{
	uint32_t free = 0;
	for (uint32_t i = 0; i < SLOTS_PER_BUCKET; i++)
		free += LoadWord(slots_[bucket * SLOTS_PER_BUCKET + i].tag) == 0;
	return free;
}

/* The caller owns the slot: its tag is set and its value 0. */
void SessionSlots::Publish(uint32_t index, const Insertion &in)
{
	details_[index] = in.detail;
	__atomic_store_n(&slots_[index].tag, in.tag, __ATOMIC_RELEASE);
	__atomic_exchange_n(&slots_[index].value, in.value, __ATOMIC_ACQ_REL);
}

std::optional<uint32_t> SessionSlots::TakeFree(uint32_t bucket, const Insertion &in)
{
	for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
		if (LoadWord(slots_[i].tag) != 0 || !ExchangeWord(slots_[i].tag, 0, in.tag))
			continue;
		Publish(i, in);
		return i;
	}
	return std::nullopt;
}

std::optional<uint32_t> SessionSlots::InsertFree(const Insertion &in)
{
	uint32_t first = FirstBucket(in.tag), second = SecondBucket(in.tag), free = FreeSlots(first);
	if (free < 2 && FreeSlots(second) > free) {
		if (auto index = TakeFree(second, in))
			return index;
		return TakeFree(first, in);
	}
	if (auto index = TakeFree(first, in))
		return index;
	return TakeFree(second, in);
}

std::optional<uint32_t> SessionSlots::Evict(const Insertion &in, uint32_t limit, const SyncDictionary &names)
{
	uint32_t best = kRankNone << TICK_BITS, index = 0;
	uint64_t victim = 0;
	for (uint32_t bucket : {FirstBucket(in.tag), SecondBucket(in.tag)})
		for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
			uint64_t value = LoadWord(slots_[i].value);
			uint32_t score = value != 0 ? EvictionScore(value, in.tick, names) : UINT32_MAX;
			if (score >= best)
				continue;
			best = score;
			index = i;
			victim = value;
		}
	if (best >> TICK_BITS > limit || victim == 0 || !ExchangeWord(slots_[index].value, victim, 0))
		return std::nullopt;
	Publish(index, in);
	return index;
}

/* The other bucket of the entry in this slot; its own when the slot holds nothing that can move. */
uint32_t SessionSlots::OtherBucket(uint32_t index, uint32_t own) const
{
	uint64_t tag = LoadWord(slots_[index].tag);
	if (tag == 0 || LoadWord(slots_[index].value) == 0)
		return own;
	uint32_t first = FirstBucket(tag);
	return first == own ? SecondBucket(tag) : first;
}

/* Leaves `from` owned (value 0). A reader sees the entry in one place or in both, never in none. */
bool SessionSlots::MoveOut(uint32_t from_index, uint32_t to_bucket)
{
	session_slot &from = slots_[from_index];
	uint64_t tag = LoadWord(from.tag), value = LoadWord(from.value);
	if (tag == 0 || value == 0)
		return false;
	for (uint32_t i = to_bucket * SLOTS_PER_BUCKET; i < (to_bucket + 1) * SLOTS_PER_BUCKET; i++) {
		session_slot &to = slots_[i];
		if (LoadWord(to.tag) != 0 || !ExchangeWord(to.tag, 0, tag))
			continue;
		details_[i] = details_[from_index];
		__atomic_exchange_n(&to.value, value, __ATOMIC_ACQ_REL);
		if (ExchangeWord(from.value, value, 0))
			return true;
		/* It changed under us: it stays where it was. A copy that has changed, too, is in other hands by now.
		 */
		if (ExchangeWord(to.value, value, 0))
			__atomic_store_n(&to.tag, 0, __ATOMIC_RELEASE);
		return false;
	}
	return false;
}

std::optional<uint32_t> SessionSlots::RoomByOne(uint32_t bucket)
{
	for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
		uint32_t other = OtherBucket(i, bucket);
		if (other != bucket && FreeSlots(other) > 0 && MoveOut(i, other))
			return i;
	}
	return std::nullopt;
}

/* First room in the other bucket of one of the entries, then that entry goes there. */
std::optional<uint32_t> SessionSlots::RoomByTwo(uint32_t bucket)
{
	for (uint32_t i = bucket * SLOTS_PER_BUCKET; i < (bucket + 1) * SLOTS_PER_BUCKET; i++) {
		uint32_t other = OtherBucket(i, bucket);
		if (other == bucket)
			continue;
		std::optional<uint32_t> freed = RoomByOne(other);
		if (!freed)
			continue;
		/* Handed back as free; MoveOut takes it again. */
		__atomic_store_n(&slots_[*freed].tag, 0, __ATOMIC_RELEASE);
		if (MoveOut(i, other))
			return i;
	}
	return std::nullopt;
}

std::optional<uint32_t> SessionSlots::MakeRoom(const Insertion &in)
{
	if (room_skip_ > 0) {
		room_skip_--;
		return std::nullopt;
	}
	uint32_t first = FirstBucket(in.tag), second = SecondBucket(in.tag);
	std::optional<uint32_t> index = RoomByOne(first);
	if (!index)
		index = RoomByOne(second);
	if (!index)
		index = RoomByTwo(first);
	if (!index)
		index = RoomByTwo(second);
	if (!index) {
		room_failures_++;
		room_skip_ = room_failures_ < 10 ? 1u << room_failures_ : kMaxRoomSkip;
		return std::nullopt;
	}
	room_failures_ = 0;
	Publish(*index, in);
	return index;
}

std::optional<uint32_t> SessionSlots::Insert(const Insertion &in, const SyncDictionary &names)
{
	if (auto index = InsertFree(in))
		return index;
	if (auto index = Evict(in, kRankExpired, names))
		return index;
	if (auto index = MakeRoom(in))
		return index;
	return Evict(in, kRankOld, names);
}

} // namespace spillway
