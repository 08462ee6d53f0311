#include "sync_gaps.h"

#include <algorithm>

namespace spillway
{

namespace
{

constexpr size_t kMostGaps = 2048;
constexpr uint64_t kReorderNs = 2'000'000; /* what is late for less than this was overtaken, not lost */
constexpr uint64_t kLongestWaitNs = 200'000'000;
constexpr uint32_t kMostAsks = 24; /* about 3 s; where half of all is lost each way, one of a thousand is left */

uint64_t WaitNs(uint32_t asked)
{
	uint64_t wait = kReorderNs;
	for (uint32_t n = 0; n < asked && wait < kLongestWaitNs; n++)
		wait += wait / 2;
	return std::min(wait, kLongestWaitNs);
}

/* Seen, as far as the window is concerned: a copy that somebody kept back is too late. */
uint64_t GiveUp(uint64_t first, uint64_t last, SyncWindow &window)
{
	uint64_t newest = std::max(last, window.highest());
	uint64_t oldest = newest < SyncWindow::kWidth ? 0 : newest - SyncWindow::kWidth + 1;
	uint64_t n = std::max(first, oldest);
	for (uint64_t left = n <= last ? last - n + 1 : 0; left > 0;
	     left--) /* the last number may be the greatest there is */
		window.Mark(n++);
	return last - first + 1;
}

} // namespace

uint64_t SyncGaps::Miss(uint64_t first, uint64_t last, uint64_t now_ns, SyncWindow &window)
{
	uint64_t given_up = 0;
	if (last - first >= kReach) {
		given_up += GiveUp(first, last - kReach, window);
		first = last - kReach + 1;
	}
	if (gaps_.size() >= kMostGaps) {
		given_up += GiveUp(gaps_.front().first, gaps_.front().last, window);
		gaps_.erase(gaps_.begin());
	}
	gaps_.push_back({first, last, now_ns, now_ns + kReorderNs, 0});
	return given_up;
}

std::optional<uint64_t> SyncGaps::Fill(uint64_t sequence)
{
	auto gap = std::lower_bound(gaps_.begin(), gaps_.end(), sequence,
				    [](const Gap &gap, uint64_t wanted) { return gap.last < wanted; });
	if (gap == gaps_.end() || gap->first > sequence)
		return std::nullopt;
	uint64_t since = gap->since_ns;
	if (gap->first == gap->last) {
		gaps_.erase(gap);
	} else if (gap->first == sequence) {
		gap->first++;
	} else if (gap->last == sequence) {
		gap->last--;
	} else {
		Gap rest = *gap;
		rest.first = sequence + 1;
		gap->last = sequence - 1;
		gaps_.insert(gap + 1, rest);
	}
	return since;
}

std::vector<WireRange> SyncGaps::Due(uint64_t now_ns, size_t most, SyncWindow &window, uint64_t &given_up)
{
	std::vector<WireRange> ranges;
	size_t kept = 0;
	for (size_t i = 0; i < gaps_.size(); i++) {
		Gap &gap = gaps_[i];
		if (now_ns >= gap.ask_at_ns && gap.asked >= kMostAsks) {
			given_up += GiveUp(gap.first, gap.last, window);
			continue;
		}
		if (now_ns >= gap.ask_at_ns && ranges.size() < most) {
			ranges.push_back({gap.first, static_cast<uint32_t>(gap.last - gap.first + 1), 0});
			gap.ask_at_ns = now_ns + WaitNs(++gap.asked);
		}
		gaps_[kept++] = gap;
	}
	gaps_.resize(kept);
	return ranges;
}

} // namespace spillway
