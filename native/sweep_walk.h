/* Walking the session table that the data path writes at the same time. No JS here. */
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace spillway
{

constexpr uint32_t kIds = 65536;
constexpr uint32_t kStates = 16;

struct SweepOrder {
	uint32_t now_tick = 0;
	bool expire = false;
	std::vector<uint16_t> timeouts;	     /* by service * 4 + (state & 3); 0 = what is there has to go */
	std::vector<uint8_t> purge_backends; /* bitmap by id, or empty */
	std::vector<uint8_t> purge_services;
};

struct SweepCount {
	uint32_t by_state[kStates] = {};
	std::vector<uint32_t> by_service = std::vector<uint32_t>(kIds);
	std::vector<uint32_t> open_by_service = std::vector<uint32_t>(kIds);
	std::vector<uint32_t> by_backend = std::vector<uint32_t>(kIds);
	std::vector<uint32_t> open_by_backend = std::vector<uint32_t>(kIds); /* young and established */
	std::vector<uint32_t> sources_by_service = std::vector<uint32_t>(kIds);
	std::vector<uint32_t> sources_by_backend = std::vector<uint32_t>(kIds);
	uint32_t expired = 0;
	uint32_t purged = 0;
	std::vector<uint32_t> unfinished;
};

/* `slots` is memory shared with the kernel, of `count` struct session_slot. */
void WalkSessions(void *slots, size_t count, const SweepOrder &order, SweepCount &result);
bool ClearSessionSlot(void *slots, size_t slot, uint64_t tag);

} // namespace spillway
