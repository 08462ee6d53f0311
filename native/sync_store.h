/*
 * The session table with what its numbers are called elsewhere, its clock, and what peers have heard of it. Shared by
 * the engine's thread, the thread pool and JS: merging is one at a time by a mutex, reading needs none. No JS here.
 */
#pragma once
#include "sync_slots.h"
#include "sync_wire.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace spillway
{

/* Ticks follow from one reading of both clocks. */
struct SyncClock {
	uint32_t tick = 0;
	uint64_t at_ns = 0;
	uint64_t tick_ns = 250'000'000; /* 0: it stands still */

	uint32_t At(uint64_t now_ns) const;
};

struct MergeCounts {
	uint64_t applied = 0, stale = 0, unknown = 0, no_room = 0;
};

/* What all that begins now goes by. */
struct SyncView {
	std::shared_ptr<const SyncDictionary> names;
	uint32_t tick;
	uint64_t tick_ns;
};

/* What peers are told of a slot, and when it was seen. */
struct Telling {
	SyncRecord record;
	uint32_t tick;
};

class SyncStore
{
      public:
	/* The memory has to outlive this. `details` holds one for each slot. */
	SyncStore(void *sessions, void *details, uint32_t buckets);

	void SetNames(std::shared_ptr<const SyncDictionary> names);
	void SetClock(const SyncClock &clock);
	SyncView View(uint64_t now_ns) const;

	struct Arrival {
		uint32_t late_ticks; /* since the ages were written */
		uint16_t origin;
	};
	/* In batches: the memory of one batch is fetched at once. */
	void Merge(const SyncRecord *records, size_t count, const SyncView &view, Arrival arrival, MergeCounts &counts);

	/* What is in a slot, as peers are told; nullopt: nothing that they should know, or it was just changing. */
	std::optional<Telling> Read(uint32_t index, const SyncView &view) const;
	/* Peers know by now that it was seen at this tick. */
	void Heard(uint32_t index, uint32_t tick)
	{
		uint16_t low = tick & 0xffff;
		heard_[index].store(low != 0 ? low : 1, std::memory_order_relaxed);
	}
	/* Lower 16 bits of the tick; 0: nothing is known. */
	uint16_t LastHeard(uint32_t index) const
	{
		return heard_[index].load(std::memory_order_relaxed);
	}
	SessionSlots &slots()
	{
		return slots_;
	}

      private:
	void MergeOne(const SyncRecord &record, const SyncView &view, Arrival arrival, MergeCounts &counts);
	bool InsertNew(const SyncRecord &record, uint64_t value, const SyncView &view, Arrival arrival, bool &room);

	mutable SessionSlots slots_;
	mutable std::mutex settings_mutex_;
	std::shared_ptr<const SyncDictionary> names_; /* by settings_mutex_ */
	SyncClock clock_;			      /* by settings_mutex_ */
	std::mutex merge_mutex_;
	std::unique_ptr<std::atomic<uint16_t>[]> heard_;
};

} // namespace spillway
