#include "sync_store.h"
#include "sync_order.h"

#include <algorithm>

namespace spillway
{

namespace
{

constexpr size_t kBatch = 64;
constexpr int kMostTries = 16; /* a slot that the data path writes all the time is as new as anything we hold */

} // namespace

uint32_t SyncClock::At(uint64_t now_ns) const
{
	if (tick_ns == 0)
		return tick;
	int64_t passed = static_cast<int64_t>(now_ns - at_ns), ticks = passed / static_cast<int64_t>(tick_ns);
	if (passed < 0 && passed % static_cast<int64_t>(tick_ns) != 0)
		ticks--;
	return static_cast<uint32_t>(tick + ticks) & TICK_MASK;
}

SyncStore::SyncStore(void *sessions, void *details, uint32_t buckets)
    : slots_(static_cast<session_slot *>(sessions), static_cast<session_detail *>(details), buckets),
      names_(std::make_shared<SyncDictionary>(SyncNames{})),
      heard_(std::make_unique<std::atomic<uint16_t>[]>(buckets * SLOTS_PER_BUCKET))
{
}

void SyncStore::SetNames(std::shared_ptr<const SyncDictionary> names)
{
	std::lock_guard<std::mutex> lock(settings_mutex_);
	names_.swap(names); /* the old one is freed behind the lock */
}

void SyncStore::SetClock(const SyncClock &clock)
{
	std::lock_guard<std::mutex> lock(settings_mutex_);
	clock_ = clock;
}

SyncView SyncStore::View(uint64_t now_ns) const
{
	std::lock_guard<std::mutex> lock(settings_mutex_);
	return {names_, clock_.At(now_ns), clock_.tick_ns};
}

void SyncStore::Merge(const SyncRecord *records, size_t count, const SyncView &view, Arrival arrival,
		      MergeCounts &counts)
{
	for (size_t from = 0; from < count; from += kBatch) {
		size_t to = std::min(from + kBatch, count);
		for (size_t i = from; i < to; i++) {
			slots_.Prefetch(records[i].tag);
			__builtin_prefetch(&heard_[slots_.FirstSlot(records[i].tag)], 1);
		}
		std::lock_guard<std::mutex> lock(merge_mutex_);
		for (size_t i = from; i < to; i++)
			MergeOne(records[i], view, arrival, counts);
	}
}

void SyncStore::MergeOne(const SyncRecord &record, const SyncView &view, Arrival arrival, MergeCounts &counts)
{
	std::optional<SyncDictionary::Local> local = view.names->Find(record.service, record.backend);
	uint32_t timeout = local ? view.names->Timeout(local->service, record.state) : 0;
	if (timeout == 0 || record.tag == 0 || record.state < SESSION_YOUNG || record.state > SESSION_SOURCE_YOUNG) {
		counts.unknown++;
		return;
	}
	uint32_t age = DecodeAge(record.age) + arrival.late_ticks;
	if (age > timeout) {
		counts.stale++;
		return;
	}
	uint64_t value = SessionValue(local->backend, local->service, view.tick - age, record.state);
	for (int tries = 0; tries < kMostTries; tries++) {
		std::optional<SlotHit> hit = slots_.Find(record.tag);
		if (!hit) {
			bool room = true;
			if (InsertNew(record, value, view, arrival, room)) {
				counts.applied++;
				return;
			}
			if (!room) {
				counts.no_room++;
				return;
			}
			continue;
		}
		if (!Wins(value, hit->value, view)) {
			if (BackendOf(hit->value) == local->backend)
				Heard(hit->index, TickOf(value));
			counts.stale++;
			return;
		}
		if (ExchangeWord(slots_.slot(hit->index).value, hit->value, value)) {
			Heard(hit->index, TickOf(value));
			counts.applied++;
			return;
		}
	}
	counts.stale++;
}

/* False with `room`: the data path made the same session meanwhile, look again. */
bool SyncStore::InsertNew(const SyncRecord &record, uint64_t value, const SyncView &view, Arrival arrival, bool &room)
{
	Insertion in = {record.tag, value, view.tick, {}};
	in.detail.client = record.client;
	in.detail.client_port = record.port;
	in.detail.service = ServiceOf(value);
	in.detail.created_tick = TickOf(value);
	in.detail.tag_check = record.tag >> 32;
	in.detail.origin_node = arrival.origin;
	in.detail.protocol = view.names->Protocol(ServiceOf(value));
	std::optional<uint32_t> index = slots_.Insert(in, *view.names);
	room = index.has_value();
	if (!room)
		return false;
	Heard(*index, TickOf(value));
	/* An equal one is harmless: it may be ours on the way to its other bucket. */
	std::optional<SlotHit> other = slots_.FindOther(record.tag, *index);
	return !other || other->value == value || !slots_.Withdraw(*index, record.tag, value);
}

std::optional<Telling> SyncStore::Read(uint32_t index, const SyncView &view) const
{
	session_slot &slot = slots_.slot(index);
	uint64_t tag = LoadWord(slot.tag), value = LoadWord(slot.value);
	uint32_t state = StateOf(value);
	if (tag == 0 || state < SESSION_YOUNG || state > SESSION_SOURCE)
		return std::nullopt;
	SyncRecord record = {tag,
			     view.names->ServiceWire(ServiceOf(value)),
			     view.names->BackendWire(BackendOf(value)),
			     {},
			     0,
			     static_cast<uint8_t>(state),
			     0};
	uint32_t idle = IdleTicks(value, view.tick);
	std::optional<uint8_t> age = EncodeAge(idle);
	if (record.service == 0 || record.backend == 0 || !age || idle > view.names->Timeout(ServiceOf(value), state))
		return std::nullopt;
	record.age = *age;
	const session_detail &detail = slots_.detail(index);
	if (detail.tag_check == static_cast<uint32_t>(tag >> 32)) {
		record.client = detail.client;
		record.port = detail.client_port;
	}
	/* The slot may have gone to another flow while its detail was read. */
	if (LoadWord(slot.tag) != tag || LoadWord(slot.value) == 0)
		return std::nullopt;
	return Telling{record, TickOf(value)};
}

} // namespace spillway
