/* Sessions of one table into another of other geometry, while the data path writes either. No JS here. */
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

struct session_bucket;
struct session_detail;

namespace spillway
{

/* Memory of a pair of maps: `buckets` whole buckets, and a detail for each of their slots. */
struct SessionMemory {
	session_bucket *sessions = nullptr;
	session_detail *details = nullptr;
	uint32_t buckets = 0;
};

struct MigrateOrder {
	SessionMemory from, to;
	uint32_t now_tick = 0;
	std::vector<uint16_t> timeouts; /* by service * 4 + (state & 3); 0 = what is there is left behind */
	/* What earlier walks copied, slot by slot of `from`: as long as its sessions, zero before the first. */
	session_bucket *copied = nullptr;
};

struct MigrateCount {
	uint32_t inserted = 0;
	uint32_t updated = 0; /* were there, and are newer now */
	uint32_t kept = 0;    /* were there, as new or newer */
	uint32_t expired = 0;
	uint32_t no_room = 0;
};

void MigrateWalk(const MigrateOrder &order, MigrateCount &count);

} // namespace spillway
