/* What this node has to tell: the data path's log at once, what was seen since by a slow walk. No JS here. */
#pragma once
#include "sync_bucket.h"
#include "sync_counters.h"
#include "sync_log.h"
#include "sync_packer.h"
#include "sync_store.h"

#include <deque>
#include <utility>
#include <vector>

namespace spillway
{

class SyncAnnouncer
{
      public:
	/* `logs`: one for each CPU, or none. */
	SyncAnnouncer(SyncStore &store, session_log *logs, size_t cpus, SyncCounters &counters);

	void SetRate(uint32_t records_per_second);
	/* True while there is more than could be told now. */
	bool Poll(uint64_t now_ns, SyncPacker &packer, std::vector<Outgoing> &out);
	/* Left out for good since the last call. */
	uint64_t TakeUnannounced();
	bool HasUnannounced() const
	{
		return unannounced_ > 0;
	}

      private:
	struct Deferred {
		uint32_t slot;
		uint64_t due_ns;
	};
	bool DrainLog(SyncLog &log, uint64_t now_ns, const SyncView &view, SyncPacker &packer,
		      std::vector<Outgoing> &out);
	void Tell(uint32_t slot, uint64_t now_ns, const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out);
	void TellReopened(const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out);
	void TellDeferred(uint64_t now_ns, const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out);
	bool TakeForRefresh();
	void Refresh(uint64_t now_ns, const SyncView &view, SyncPacker &packer, std::vector<Outgoing> &out);
	bool IsNews(uint32_t slot, const Telling &telling);
	bool IsOutdated(uint32_t slot, const SyncView &view);
	void LeaveOut(uint64_t count);

	/* What was last told of a slot: a session that becomes established has an entry for each state that it was in.
	 */
	struct Told {
		uint64_t tag;
		uint32_t backend, tick;
		uint8_t state;
	};

	SyncStore &store_;
	SyncCounters &counters_;
	std::vector<SyncLog> logs_;
	std::deque<Deferred> young_; /* bounded */
	/* Closed and open again within a tick: see IsNews. Bounded. */
	struct Reopened {
		uint32_t slot, tick;
	};
	std::deque<Reopened> reopened_;
	std::vector<Told> told_; /* by the lower bits of the slot */
	TokenBucket bucket_, young_bucket_, refresh_bucket_;
	size_t first_log_ = 0;
	uint64_t unannounced_ = 0;
	uint32_t walk_slot_ = 0;
	uint64_t walk_ns_ = 0; /* when it was there */
};

} // namespace spillway
