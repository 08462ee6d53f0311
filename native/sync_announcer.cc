#include "sync_announcer.h"

namespace spillway
{

namespace
{

constexpr size_t kBatch = 32;
constexpr size_t kMostAtOnce = 8192; /* entries of a log in one poll: what is received waits meanwhile */
constexpr size_t kMostYoung = 65536;
constexpr uint64_t kYoungNs = 5'000'000;     /* a session is mostly established by then, and told as that */
constexpr uint64_t kWalkNs = 10'000'000'000; /* the whole table once in this time */
constexpr uint32_t kMostWalked = 65536;
constexpr size_t kTold = 65536;	   /* a power of two */
constexpr uint32_t kSkewTicks = 2; /* between nodes' clocks, at most */

} // namespace

SyncAnnouncer::SyncAnnouncer(SyncStore &store, session_log *logs, size_t cpus, SyncCounters &counters)
    : store_(store), counters_(counters), told_(cpus > 0 ? kTold : 0)
{
	for (size_t cpu = 0; cpu < cpus; cpu++)
		logs_.emplace_back(&logs[cpu]);
}

void SyncAnnouncer::SetRate(uint32_t records_per_second)
{
	bucket_.SetRate(records_per_second);
	young_bucket_.SetRate(records_per_second / 4.0);
	refresh_bucket_.SetRate(records_per_second / 10.0);
}

uint64_t SyncAnnouncer::TakeUnannounced()
{
	return std::exchange(unannounced_, 0);
}

void SyncAnnouncer::LeaveOut(uint64_t count)
{
	counters_.rateLimited += count;
	unannounced_ += count;
}

bool SyncAnnouncer::Poll(uint64_t now_ns, SyncPacker &packer, std::vector<Outgoing> &out)
{
	SyncView view = store_.View(now_ns);
	bool more = false;
	bucket_.Refill(now_ns);
	young_bucket_.Refill(now_ns);
	refresh_bucket_.Refill(now_ns);
	/* Where the rate does not do for all, each CPU is the first in turn. */
	first_log_++;
	for (size_t i = 0; i < logs_.size(); i++)
		more |= DrainLog(logs_[(first_log_ + i) % logs_.size()], now_ns, view, packer, out);
	TellReopened(view, packer, out);
	TellDeferred(now_ns, view, packer, out);
	if (!logs_.empty())
		Refresh(now_ns, view, packer, out);
	return more || !young_.empty();
}

/* Over the rate entries wait in the log; only when that is half full are they left out. */
bool SyncAnnouncer::DrainLog(SyncLog &log, uint64_t now_ns, const SyncView &view, SyncPacker &packer,
			     std::vector<Outgoing> &out)
{
	uint32_t slots[kBatch];
	uint64_t overruns = log.overruns();
	size_t taken = 0;
	while (taken < kMostAtOnce) {
		size_t most = std::min<size_t>(kBatch, bucket_.tokens());
		if (most == 0) {
			if (log.backlog() > SESSION_LOG_ENTRIES / 2)
				LeaveOut(log.Skip(log.backlog() - SESSION_LOG_ENTRIES / 2));
			break;
		}
		size_t count = log.Take(slots, most, now_ns);
		if (count == 0)
			break;
		for (size_t i = 0; i < count; i++)
			if (slots[i] < store_.slots().count())
				store_.slots().PrefetchSlot(slots[i]);
		for (size_t i = 0; i < count; i++)
			if (slots[i] < store_.slots().count())
				Tell(slots[i], now_ns, view, packer, out);
		taken += count;
	}
	log.Commit();
	overruns = log.overruns() - overruns;
	counters_.logOverruns += overruns;
	unannounced_ += overruns;
	return log.backlog() > 0;
}

void SyncAnnouncer::Tell(uint32_t slot, uint64_t now_ns, const SyncView &view, SyncPacker &packer,
			 std::vector<Outgoing> &out)
{
	std::optional<Telling> told = store_.Read(slot, view);
	if (!told)
		return;
	if (told->record.state == SESSION_YOUNG) {
		if (young_.size() < kMostYoung)
			young_.push_back({slot, now_ns + kYoungNs});
		else
			LeaveOut(1);
		return;
	}
	if (!IsNews(slot, *told))
		return;
	bucket_.Take();
	store_.Heard(slot, told->tick);
	packer.Add(told->record, out);
}

/* False: just this was told. Where the log is read late, its entries of one session all find it as it is now. */
bool SyncAnnouncer::IsNews(uint32_t slot, const Telling &telling)
{
	Told &last = told_[slot & (kTold - 1)];
	const SyncRecord &record = telling.record;
	if (last.tag == record.tag && last.backend == record.backend && last.tick == telling.tick &&
	    last.state == record.state)
		return false;
	/* Peers' clocks are a tick off: they may let what was closing, or the other backend, stay. Told again when it
	 * is later for all. */
	bool tied = last.tag == record.tag && ((telling.tick - last.tick) & TICK_MASK) <= kSkewTicks &&
		    (last.state == SESSION_CLOSING || last.backend != record.backend);
	if (tied && record.state == SESSION_ESTABLISHED && reopened_.size() < kMostYoung)
		reopened_.push_back({slot, telling.tick});
	last = {record.tag, record.backend, telling.tick, record.state};
	return true;
}

static bool IsPastSkew(uint32_t tick, uint32_t now)
{
	uint32_t since = (now - tick) & TICK_MASK;
	return since > kSkewTicks && since < TICK_MASK / 2;
}

/* A client that comes from the same port at once, or whose session selected anew. */
void SyncAnnouncer::TellReopened(const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out)
{
	while (!reopened_.empty() && IsPastSkew(reopened_.front().tick, view.tick)) {
		Reopened reopened = reopened_.front();
		reopened_.pop_front();
		std::optional<Telling> told = store_.Read(reopened.slot, view);
		if (!told || told->record.state != SESSION_ESTABLISHED)
			continue;
		/* As seen now: with the time of when it was opened it would lose again. */
		if (told->record.age <= 2 * kSkewTicks)
			told->record.age = 0;
		if (!bucket_.Take()) {
			LeaveOut(1);
			continue;
		}
		store_.Heard(reopened.slot, told->tick);
		packer.Add(told->record, out);
	}
}

void SyncAnnouncer::TellDeferred(uint64_t now_ns, const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out)
{
	while (!young_.empty() && young_.front().due_ns <= now_ns) {
		uint32_t slot = young_.front().slot;
		young_.pop_front();
		std::optional<Telling> told = store_.Read(slot, view);
		if (!told || told->record.state != SESSION_YOUNG)
			continue; /* what it became has an entry of its own */
		if (!young_bucket_.HasAny() || !bucket_.Take()) {
			LeaveOut(1);
			continue;
		}
		young_bucket_.Take();
		store_.Heard(slot, told->tick);
		packer.Add(told->record, out);
	}
}

/* Was it seen so much later than peers believe that they would let it go too early? */
bool SyncAnnouncer::IsOutdated(uint32_t slot, const SyncView &view)
{
	uint64_t value = LoadWord(store_.slots().slot(slot).value);
	uint32_t state = StateOf(value);
	/* Closing ones as well: a connection that is closed on one side alone may go on for long. */
	if (state != SESSION_ESTABLISHED && state != SESSION_SOURCE && state != SESSION_CLOSING)
		return false;
	uint16_t heard = store_.LastHeard(slot);
	if (heard == 0) { /* first seen by this process: what peers miss is found by comparing */
		store_.Heard(slot, TickOf(value));
		return false;
	}
	uint16_t later = static_cast<uint16_t>(TickOf(value)) - heard;
	return later < 0x8000 && later > view.names->Timeout(ServiceOf(value), state) / 4;
}

/* A rate of its own, or new sessions at the full rate would let the old ones run out elsewhere; and what is left over.
 */
bool SyncAnnouncer::TakeForRefresh()
{
	return refresh_bucket_.Take() || (bucket_.IsHalfFull() && bucket_.Take());
}

void SyncAnnouncer::Refresh(uint64_t now_ns, const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out)
{
	uint32_t count = store_.slots().count();
	if (walk_ns_ == 0 || now_ns < walk_ns_)
		walk_ns_ = now_ns;
	uint64_t due = static_cast<uint64_t>(static_cast<double>(now_ns - walk_ns_) * count / kWalkNs);
	if (due == 0)
		return;
	walk_ns_ = now_ns;
	for (uint64_t left = std::min<uint64_t>({due, kMostWalked, count}); left > 0; left--) {
		uint32_t slot = walk_slot_;
		walk_slot_ = walk_slot_ + 1 < count ? walk_slot_ + 1 : 0;
		if (!IsOutdated(slot, view))
			continue;
		std::optional<Telling> told = store_.Read(slot, view);
		if (!told || !TakeForRefresh())
			continue; /* the next walk comes by again */
		store_.Heard(slot, told->tick);
		packer.Add(told->record, out);
	}
}

} // namespace spillway
