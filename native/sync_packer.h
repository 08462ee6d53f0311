/* Records into DATA datagrams, which stay in a ring for those who miss them. No JS here. */
#pragma once
#include "sync_counters.h"
#include "sync_datagram.h"
#include "sync_wire.h"

namespace spillway
{

class SyncPacker
{
      public:
	SyncPacker(const SyncSelf &self, size_t datagram_bytes, const SyncKeys &keys, SyncCounters &counters)
	    : self_(self), room_(datagram_bytes - kSyncOverhead), keys_(keys), counters_(counters),
	      ring_(datagram_bytes)
	{
	}
	void Add(const SyncRecord &record, std::vector<Outgoing> &out);
	/* Sends what has gathered, at the end of a poll. */
	void Flush(std::vector<Outgoing> &out);
	/* After the last DATA of a burst empty ones follow, later and later, so that who lost the last can tell. */
	void Follow(uint64_t now_ns, std::vector<Outgoing> &out);
	const SyncRing &ring() const
	{
		return ring_;
	}
	uint64_t sequence() const
	{
		return sequence_;
	}

      private:
	void Send(std::vector<Outgoing> &out);
	const SyncSelf self_;
	const size_t room_;
	const SyncKeys &keys_;
	SyncCounters &counters_;
	SyncRing ring_;
	uint64_t sequence_ = 0;
	std::vector<uint8_t> four_, six_;
	bool sent_ = false; /* since the last Follow */
	size_t follow_step_ = 0;
	uint64_t follow_at_ns_ = 0;
};

} // namespace spillway
