/* One CPU's struct session_log, read behind the data path that writes it and never waits. No JS here. */
#pragma once
#include "../bpf/abi_types.h"

#include <cstddef>
#include <cstdint>

namespace spillway
{

class SyncLog
{
      public:
	/* Goes on where the last reader stopped: `tail` lives in the map. */
	explicit SyncLog(session_log *log);

	/* Slots of the next entries, at most `most`; none: there are no more for now. */
	size_t Take(uint32_t *slots, size_t most, uint64_t now_ns);
	/* The same, unread; how many. */
	size_t Skip(size_t most);
	/* What was taken is done with. */
	void Commit();
	uint64_t backlog() const;
	/* Entries overwritten before they were read. */
	uint64_t overruns() const
	{
		return overruns_;
	}

      private:
	uint64_t Head() const;
	void Overtaken(uint64_t head);
	session_log *log_;
	uint64_t next_;
	uint64_t overruns_ = 0;
	uint64_t stuck_at_ = UINT64_MAX; /* an entry that was announced and is not written yet, and since when */
	uint64_t stuck_since_ns_ = 0;
};

} // namespace spillway
