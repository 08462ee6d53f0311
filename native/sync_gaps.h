/* What one sender has sent and we have not: asked for again and again, until it comes or is past asking. No JS here. */
#pragma once
#include "sync_window.h"
#include "sync_wire.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace spillway
{

class SyncGaps
{
      public:
	/* As many as a sender keeps: older ones nobody has. */
	static constexpr uint64_t kReach = 8192;

	/* Numbers first..last are missing as of now. Returns how many are given up for it. */
	uint64_t Miss(uint64_t first, uint64_t last, uint64_t now_ns, SyncWindow &window);
	/* It has come; since when it was missing, if it was. */
	std::optional<uint64_t> Fill(uint64_t sequence);
	/* What is to be asked for now, at most `most` ranges; `given_up` grows by what is past asking. */
	std::vector<WireRange> Due(uint64_t now_ns, size_t most, SyncWindow &window, uint64_t &given_up);
	bool empty() const
	{
		return gaps_.empty();
	}

      private:
	struct Gap {
		uint64_t first, last;
		uint64_t since_ns, ask_at_ns;
		uint32_t asked;
	};
	std::vector<Gap> gaps_; /* ascending, bounded */
};

} // namespace spillway
