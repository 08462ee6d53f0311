/* What is known of one boot of another node. No JS here. */
#pragma once
#include "sync_datagram.h"
#include "sync_gaps.h"
#include "sync_window.h"

#include <utility>

namespace spillway
{

struct SyncPeer {
	uint32_t node = 0;
	uint64_t boot = 0;
	SyncEndpoint from;	/* of its last datagram */
	bool reachable = false; /* `from` is known */
	bool contact = false;	/* a DATA number is known: from here on what is missing is a loss */
	SyncWindow data, control;
	SyncGaps gaps;
	uint64_t datagrams = 0, records = 0;
	uint64_t missed = 0, repaired = 0, given_up = 0;
	uint64_t lost = 0; /* given up since it was last reported */
};

/*
 * Boots that were heard and not admitted: where their numbers had come to, so that what was recorded before they were
 * admitted is not taken afterwards. The one heard longest ago gives way.
 */
class SyncStrangers
{
      public:
	static constexpr size_t kMost = 256;

	struct Stranger {
		uint32_t node = 0;
		uint64_t boot = 0;
		uint64_t control = 0, data = 0;
		uint64_t heard = 0; /* 0: free */
	};
	/* False: its number is not above the last one. */
	bool Note(uint32_t node, uint64_t boot, uint64_t control, uint64_t data)
	{
		Stranger *oldest = &strangers_[0];
		for (Stranger &stranger : strangers_) {
			if (stranger.heard != 0 && stranger.node == node && stranger.boot == boot) {
				if (control <= stranger.control)
					return false;
				stranger.control = control;
				stranger.data = data > stranger.data ? data : stranger.data;
				stranger.heard = ++clock_;
				return true;
			}
			if (stranger.heard < oldest->heard)
				oldest = &stranger;
		}
		*oldest = {node, boot, control, data, ++clock_};
		return true;
	}
	/* It is a stranger no more. */
	Stranger Take(uint32_t node, uint64_t boot)
	{
		for (Stranger &stranger : strangers_)
			if (stranger.heard != 0 && stranger.node == node && stranger.boot == boot)
				return std::exchange(stranger, {});
		return {};
	}

      private:
	Stranger strangers_[kMost];
	uint64_t clock_ = 0;
};

} // namespace spillway
