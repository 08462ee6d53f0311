/*
 * The rules of bpf/session_insert.h over again, but that nothing gives way: what finds no room is counted. Written for
 * this one purpose, so that a table can be moved by an agent whose dictionary of the cluster is not known yet.
 */
#include "migrate_walk.h"

#include "../bpf/abi_types.h"

namespace spillway
{

namespace
{

constexpr uint32_t kFutureTick = 0xff0000; /* as in the sweep: what another CPU stamped while we walk is not old */

uint64_t Load(const __u64 &word)
{
	return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

void Store(__u64 &word, uint64_t value)
{
	__atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
}

bool Exchange(__u64 &word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

uint32_t Idle(uint64_t value, uint32_t now)
{
	uint32_t idle = (now - static_cast<uint32_t>(value >> 32)) & TICK_MASK;
	return idle >= kFutureTick ? 0 : idle;
}

uint32_t StateOf(uint64_t value)
{
	return value >> 56 & 0xf;
}

uint16_t BackendOf(uint64_t value)
{
	return static_cast<uint16_t>(value);
}

/* How far a connection or a client has come: it only ever goes on. */
uint32_t Progress(uint32_t state)
{
	return state == SESSION_SOURCE_YOUNG ? SESSION_YOUNG : state == SESSION_SOURCE ? SESSION_ESTABLISHED : state;
}

struct Place {
	uint32_t bucket = 0, slot = 0;
	bool found = false;
};

class Table
{
      public:
	explicit Table(const SessionMemory &memory) : memory_(memory)
	{
	}

	session_slot &At(const Place &place)
	{
		return memory_.sessions[place.bucket].slots[place.slot];
	}
	session_detail &DetailAt(const Place &place)
	{
		return memory_.details[place.bucket * SLOTS_PER_BUCKET + place.slot];
	}

	Place Find(uint64_t tag)
	{
		uint32_t first = First(tag), second = Second(tag);
		/* The first once more: it may have moved there meanwhile. */
		for (uint32_t bucket : {first, second, first}) {
			for (uint32_t i = 0; i < SLOTS_PER_BUCKET; i++) {
				session_slot &slot = memory_.sessions[bucket].slots[i];
				if (Load(slot.tag) == tag && Load(slot.value) != 0 && Load(slot.tag) == tag)
					return {bucket, i, true};
			}
		}
		return {};
	}

	bool Insert(uint64_t tag, uint64_t value, const session_detail &detail)
	{
		uint32_t first = First(tag), second = Second(tag);
		bool second_is_emptier = FreeSlots(first) < 2 && FreeSlots(second) > FreeSlots(first);
		uint32_t better = second_is_emptier ? second : first, other = second_is_emptier ? first : second;
		Place place = Claim(better, tag);
		if (!place.found)
			place = Claim(other, tag);
		for (uint32_t bucket : {first, second})
			if (!place.found && RoomByOne(bucket))
				place = Claim(bucket, tag);
		for (uint32_t bucket : {first, second})
			if (!place.found && RoomByTwo(bucket))
				place = Claim(bucket, tag);
		if (!place.found)
			return false;
		DetailAt(place) = detail;
		Store(At(place).value, value);
		return true;
	}

      private:
	uint32_t First(uint64_t tag) const
	{
		return static_cast<uint64_t>(static_cast<uint32_t>(tag)) * memory_.buckets >> 32;
	}
	uint32_t Second(uint64_t tag) const
	{
		uint32_t first = First(tag), second = (tag >> 32) * memory_.buckets >> 32;
		if (second != first)
			return second;
		return first + 1 == memory_.buckets ? 0 : first + 1;
	}
	int FreeSlots(uint32_t bucket) const
	{
		int count = 0;
		for (const session_slot &slot : memory_.sessions[bucket].slots)
			count += Load(slot.tag) == 0;
		return count;
	}
	/* A slot of ours to fill: tag set, value 0. */
	Place Claim(uint32_t bucket, uint64_t tag)
	{
		for (uint32_t i = 0; i < SLOTS_PER_BUCKET; i++) {
			session_slot &slot = memory_.sessions[bucket].slots[i];
			if (Load(slot.tag) == 0 && Exchange(slot.tag, 0, tag))
				return {bucket, i, true};
		}
		return {};
	}
	/* An entry into a free slot of its other bucket; a reader sees it in one place or in both. */
	bool MoveOut(const Place &from, uint32_t bucket)
	{
		uint64_t tag = Load(At(from).tag), value = Load(At(from).value);
		if (tag == 0 || value == 0)
			return false;
		Place to = Claim(bucket, tag);
		if (!to.found)
			return false;
		DetailAt(to) = DetailAt(from);
		Store(At(to).value, value);
		if (Exchange(At(from).value, value, 0)) {
			Store(At(from).tag, 0);
			return true;
		}
		/* It changed under us: it stays where it was. */
		if (Exchange(At(to).value, value, 0))
			Store(At(to).tag, 0);
		return false;
	}
	uint32_t OtherBucket(const Place &place)
	{
		uint64_t tag = Load(At(place).tag);
		if (tag == 0 || Load(At(place).value) == 0)
			return place.bucket;
		uint32_t first = First(tag);
		return first == place.bucket ? Second(tag) : first;
	}
	bool RoomByOne(uint32_t bucket)
	{
		for (uint32_t i = 0; i < SLOTS_PER_BUCKET; i++) {
			Place place = {bucket, i, true};
			uint32_t other = OtherBucket(place);
			if (other != bucket && FreeSlots(other) > 0 && MoveOut(place, other))
				return true;
		}
		return false;
	}
	bool RoomByTwo(uint32_t bucket)
	{
		for (uint32_t i = 0; i < SLOTS_PER_BUCKET; i++) {
			Place place = {bucket, i, true};
			uint32_t other = OtherBucket(place);
			if (other != bucket && RoomByOne(other) && MoveOut(place, other))
				return true;
		}
		return false;
	}

	SessionMemory memory_;
};

/*
 * What both tables have. Usually the copy is as it was made and follows its original. Else the new program has seen
 * packets of it meanwhile: of the same connection the later time and the further state are true; where backends differ,
 * the later one, but for a flow that the new program met before it was copied, and took for new.
 */
uint64_t Merge(uint64_t was, uint64_t copied, uint64_t copy, uint32_t now)
{
	if (copy == copied)
		return was;
	bool later = Idle(was, now) < Idle(copy, now);
	if (BackendOf(was) == BackendOf(copy)) {
		uint32_t further = Progress(StateOf(was)) > Progress(StateOf(copy)) ? StateOf(was) : StateOf(copy);
		uint64_t newer = later ? was : copy;
		return (newer & ~(0xfull << 56)) | static_cast<uint64_t>(further) << 56;
	}
	bool taken_for_new =
		copied == 0 && Progress(StateOf(copy)) == SESSION_YOUNG && Idle(was, now) <= Idle(copy, now) + 1;
	return later || taken_for_new ? was : copy;
}

bool Lasts(const MigrateOrder &order, uint64_t value)
{
	uint32_t index = (value >> 16 & 0xffff) * 4 + (StateOf(value) & 3);
	uint32_t timeout = index < order.timeouts.size() ? order.timeouts[index] : 0;
	return timeout != 0 && Idle(value, order.now_tick) <= timeout;
}

void MigrateOne(const MigrateOrder &order, Table &table, uint32_t index, MigrateCount &count)
{
	const session_slot &slot = order.from.sessions[index / SLOTS_PER_BUCKET].slots[index % SLOTS_PER_BUCKET];
	session_slot &before = order.copied[index / SLOTS_PER_BUCKET].slots[index % SLOTS_PER_BUCKET];
	uint64_t tag = Load(slot.tag), value = Load(slot.value);
	if (tag == 0 || value == 0 || Load(slot.tag) != tag || (before.tag == tag && before.value == value))
		return;
	if (!Lasts(order, value)) {
		count.expired++;
		return;
	}
	uint64_t copied = before.tag == tag ? before.value : 0;
	Place place = table.Find(tag);
	if (!place.found) {
		session_detail detail = order.from.details[index];
		/* Of another flow: it is being written, or the data path could not. */
		if (detail.tag_check != tag >> 32)
			detail = {};
		if (!table.Insert(tag, value, detail)) {
			count.no_room++;
			return;
		}
		count.inserted++;
	} else {
		/* A packet may be faster: then it is newer, and merged by the next walk. */
		uint64_t copy = Load(table.At(place).value), merged = Merge(value, copied, copy, order.now_tick);
		if (copy == 0 || (merged != copy && !Exchange(table.At(place).value, copy, merged)))
			return;
		(merged == copy ? count.kept : count.updated)++;
	}
	before.tag = tag;
	before.value = value;
}

} // namespace

void MigrateWalk(const MigrateOrder &order, MigrateCount &count)
{
	Table table(order.to);
	for (uint32_t index = 0; index < order.from.buckets * SLOTS_PER_BUCKET; index++)
		MigrateOne(order, table, index, count);
}

} // namespace spillway
