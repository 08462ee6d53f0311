#include "sync_walk.h"

#include <algorithm>
#include <cstring>

namespace spillway
{

namespace
{

constexpr size_t kCountBytes = 8;
constexpr size_t kImportBatch = 256;

/* src/sync/README.md has it, too: equal for equal sessions on every node, and of 64 bits each way. */
uint64_t Mix(uint64_t tag, uint32_t service, uint32_t backend)
{
	uint64_t h = tag ^ (static_cast<uint64_t>(service) << 32 | backend) * 0x9e3779b97f4a7c15ULL;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

bool IsCompared(uint32_t state)
{
	return state == SESSION_ESTABLISHED || state == SESSION_SOURCE;
}

} // namespace

TableDigest DigestTable(SyncStore &store, uint32_t ranges, const SyncView &view)
{
	TableDigest digest = {std::vector<uint32_t>(ranges), std::vector<uint64_t>(ranges)};
	SessionSlots &slots = store.slots();
	for (uint32_t index = 0; index < slots.count(); index++) {
		uint64_t tag = LoadWord(slots.slot(index).tag), value = LoadWord(slots.slot(index).value);
		if (tag == 0 || !IsCompared(StateOf(value)))
			continue;
		uint32_t service = view.names->ServiceWire(ServiceOf(value));
		uint32_t backend = view.names->BackendWire(BackendOf(value));
		/* What is older than can be told cannot be mended either. */
		uint32_t limit = std::min(view.names->Timeout(ServiceOf(value), StateOf(value)), kOldestAge);
		if (service == 0 || backend == 0 || IdleTicks(value, view.tick) > limit)
			continue;
		uint32_t range = RangeOf(tag, ranges);
		digest.counts[range]++;
		digest.sums[range] += Mix(tag, service, backend);
	}
	return digest;
}

TableExport ExportTable(SyncStore &store, const ExportOrder &order, const SyncView &view)
{
	std::vector<WireRecord4> four;
	std::vector<WireRecord6> six;
	SessionSlots &slots = store.slots();
	uint32_t index = order.cursor;
	for (; index < slots.count() && four.size() + six.size() < order.limit; index++) {
		uint64_t tag = LoadWord(slots.slot(index).tag);
		if (tag == 0)
			continue;
		uint32_t range = RangeOf(tag, order.ranges);
		if (!order.wanted.empty() && !(order.wanted[range / 8] >> range % 8 & 1))
			continue;
		std::optional<Telling> told = store.Read(index, view);
		if (!told)
			continue;
		if (IsMapped4(told->record.client))
			four.push_back(ToWire4(told->record));
		else
			six.push_back(ToWire6(told->record));
	}
	TableExport result;
	uint32_t counts[] = {static_cast<uint32_t>(four.size()), static_cast<uint32_t>(six.size())};
	size_t bytes4 = four.size() * sizeof(WireRecord4), bytes6 = six.size() * sizeof(WireRecord6);
	result.records.resize(kCountBytes + bytes4 + bytes6);
	memcpy(result.records.data(), counts, kCountBytes);
	if (bytes4 > 0)
		memcpy(&result.records[kCountBytes], four.data(), bytes4);
	if (bytes6 > 0)
		memcpy(&result.records[kCountBytes + bytes4], six.data(), bytes6);
	result.count = four.size() + six.size();
	if (index < slots.count())
		result.cursor = index;
	return result;
}

bool ValidRecords(const uint8_t *bytes, size_t size)
{
	uint32_t counts[2];
	if (size < kCountBytes)
		return false;
	memcpy(counts, bytes, kCountBytes);
	return size == kCountBytes + static_cast<uint64_t>(counts[0]) * sizeof(WireRecord4) +
			       static_cast<uint64_t>(counts[1]) * sizeof(WireRecord6);
}

MergeCounts ImportRecords(SyncStore &store, const uint8_t *bytes, const SyncView &view, uint16_t origin)
{
	MergeCounts counts;
	SyncRecord batch[kImportBatch];
	uint32_t families[2];
	memcpy(families, bytes, kCountBytes);
	const uint8_t *at = bytes + kCountBytes;
	for (int family = 0; family < 2; family++)
		for (uint32_t left = families[family]; left > 0;) {
			uint32_t count = std::min<uint32_t>(left, kImportBatch);
			for (uint32_t i = 0; i < count; i++) {
				batch[i] = family == 0 ? FromWire4(at) : FromWire6(at);
				at += family == 0 ? sizeof(WireRecord4) : sizeof(WireRecord6);
			}
			store.Merge(batch, count, view, {0, origin}, counts);
			left -= count;
		}
	return counts;
}

} // namespace spillway
