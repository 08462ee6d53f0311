/* Comparing and handing over whole tables: walks over every slot, beside the data path. No JS here. */
#pragma once
#include "sync_store.h"

#include <vector>

namespace spillway
{

/* By range: the upper bits of the tag. */
struct TableDigest {
	std::vector<uint32_t> counts;
	std::vector<uint64_t> sums;
};

/* `ranges` is a power of two. */
inline uint32_t RangeOf(uint64_t tag, uint32_t ranges)
{
	return static_cast<uint64_t>(static_cast<uint32_t>(tag >> 32)) * ranges >> 32;
}

/* Only what has to be equal on all nodes: established sessions, and clients kept to a backend. */
TableDigest DigestTable(SyncStore &store, uint32_t ranges, const SyncView &view);

struct ExportOrder {
	uint32_t cursor, limit, ranges;
	std::vector<uint8_t> wanted; /* bitmap of ranges; empty: all */
};

struct TableExport {
	std::vector<uint8_t> records; /* u32 IPv4 records, u32 IPv6 records, the records */
	uint32_t count = 0;
	std::optional<uint32_t> cursor;
};

TableExport ExportTable(SyncStore &store, const ExportOrder &order, const SyncView &view);

/* Whole and nothing but records. */
bool ValidRecords(const uint8_t *bytes, size_t size);
MergeCounts ImportRecords(SyncStore &store, const uint8_t *bytes, const SyncView &view, uint16_t origin);

} // namespace spillway
