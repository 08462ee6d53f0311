/*
 * The session table as bpf/session.h and bpf/session_insert.h have it, in C++: the same buckets, the same order of who
 * gives way, the same order of writes, at the same time as the data path. Writers on this side come one at a time (the
 * store's mutex); the data path's are many and never wait. No JS here.
 */
#pragma once
#include "../bpf/abi_types.h"
#include "sync_dictionary.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace spillway
{

inline uint64_t LoadWord(const __u64 &word)
{
	return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

/* True when `from` was there, and `to` now is. */
inline bool ExchangeWord(__u64 &word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(&word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

inline uint64_t SessionValue(uint32_t backend, uint32_t service, uint32_t tick, uint32_t state)
{
	return backend | static_cast<uint64_t>(service) << 16 | static_cast<uint64_t>(tick & TICK_MASK) << 32 |
	       static_cast<uint64_t>(state) << 56;
}

inline uint32_t BackendOf(uint64_t value)
{
	return value & 0xffff;
}

inline uint32_t ServiceOf(uint64_t value)
{
	return value >> 16 & 0xffff;
}

inline uint32_t TickOf(uint64_t value)
{
	return value >> 32 & TICK_MASK;
}

inline uint32_t StateOf(uint64_t value)
{
	return value >> 56 & 0xf;
}

inline uint32_t IdleTicks(uint64_t value, uint32_t tick)
{
	uint32_t idle = (tick - TickOf(value)) & TICK_MASK;
	return idle >= TICK_MASK - 0xffff ? 0 : idle;
}

struct SlotHit {
	uint32_t index;
	uint64_t value;
};

struct Insertion {
	uint64_t tag;
	uint64_t value;
	uint32_t tick; /* now */
	session_detail detail;
};

class SessionSlots
{
      public:
	/* Whole buckets, at least two; a detail for each slot. */
	SessionSlots(session_slot *slots, session_detail *details, uint32_t buckets)
	    : slots_(slots), details_(details), buckets_(buckets)
	{
	}

	uint32_t count() const
	{
		return buckets_ * SLOTS_PER_BUCKET;
	}
	session_slot &slot(uint32_t index)
	{
		return slots_[index];
	}
	session_detail &detail(uint32_t index)
	{
		return details_[index];
	}
	void Prefetch(uint64_t tag) const;
	/* The first slot that a session of this tag may have. */
	uint32_t FirstSlot(uint64_t tag) const
	{
		return FirstBucket(tag) * SLOTS_PER_BUCKET;
	}
	void PrefetchSlot(uint32_t index) const
	{
		__builtin_prefetch(&slots_[index]);
		__builtin_prefetch(&details_[index]);
	}
	std::optional<SlotHit> Find(uint64_t tag) const;
	/* Slot, or nullopt: there is no room that a new session may take. */
	std::optional<uint32_t> Insert(const Insertion &in, const SyncDictionary &names);
	/* An entry of this tag elsewhere than in `own`. */
	std::optional<SlotHit> FindOther(uint64_t tag, uint32_t own) const;
	/* Frees the slot if it still holds this. */
	bool Withdraw(uint32_t index, uint64_t tag, uint64_t value);

      private:
	uint32_t FirstBucket(uint64_t tag) const;
	uint32_t SecondBucket(uint64_t tag) const;
	std::optional<SlotHit> FindIn(uint32_t bucket, uint64_t tag) const;
	uint32_t FreeSlots(uint32_t bucket) const;
	void Publish(uint32_t index, const Insertion &in);
	std::optional<uint32_t> TakeFree(uint32_t bucket, const Insertion &in);
	std::optional<uint32_t> InsertFree(const Insertion &in);
	std::optional<uint32_t> Evict(const Insertion &in, uint32_t limit, const SyncDictionary &names);
	uint32_t OtherBucket(uint32_t index, uint32_t own) const;
	bool MoveOut(uint32_t from, uint32_t to_bucket);
	std::optional<uint32_t> RoomByOne(uint32_t bucket);
	std::optional<uint32_t> RoomByTwo(uint32_t bucket);
	std::optional<uint32_t> MakeRoom(const Insertion &in);

	session_slot *slots_;
	session_detail *details_;
	uint32_t buckets_;
	uint32_t room_failures_ = 0; /* searches for room that failed in a row */
	uint32_t room_skip_ = 0;     /* searches still to leave out */
};

} // namespace spillway
