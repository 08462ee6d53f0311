#include "sweep_walk.h"

#include "../bpf/abi_types.h"

namespace spillway
{

namespace
{

constexpr uint32_t kFutureTick = 0xff0000; /* a session that another CPU stamped while we walk is not 2^24 ticks old */

uint64_t Load(const __u64 &word)
{
	return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}

/* True when this call took `from` away: the data path then refreshed nothing in between. */
bool Exchange(__u64 &word, uint64_t from)
{
	return __atomic_compare_exchange_n(&word, &from, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool HasBit(const std::vector<uint8_t> &bits, uint32_t id)
{
	return id / 8 < bits.size() && (bits[id / 8] >> (id % 8) & 1);
}

enum class Verdict { kKeep, kExpired, kPurged };

Verdict Judge(const SweepOrder &order, uint64_t value, uint32_t state)
{
	uint32_t backend = value & 0xffff, service = value >> 16 & 0xffff;
	if (HasBit(order.purge_backends, backend) || HasBit(order.purge_services, service))
		return Verdict::kPurged;
	if (!order.expire)
		return Verdict::kKeep;
	uint32_t index = service * 4 + (state & 3);
	uint32_t timeout = index < order.timeouts.size() ? order.timeouts[index] : 0;
	if (timeout == 0)
		return Verdict::kPurged;
	uint32_t idle = (order.now_tick - static_cast<uint32_t>(value >> 32)) & TICK_MASK;
	return idle < kFutureTick && idle > timeout ? Verdict::kExpired : Verdict::kKeep;
}

/* Value first: a slot is free by its tag, and by then must hold nothing. */
bool Free(session_slot &slot, uint64_t tag, uint64_t value)
{
	if (!Exchange(slot.value, value))
		return false; /* refreshed or changed: the next sweep decides anew */
	Exchange(slot.tag, tag);
	return true;
}

bool IsFlow(uint32_t state)
{
	return state >= SESSION_YOUNG && state <= SESSION_CLOSING;
}

bool IsSource(uint32_t state)
{
	return state == SESSION_SOURCE || state == SESSION_SOURCE_YOUNG;
}

void Count(uint64_t value, uint32_t state, SweepCount &result)
{
	uint32_t backend = value & 0xffff, service = value >> 16 & 0xffff;
	if (IsSource(state)) {
		result.sources_by_service[service]++;
		result.sources_by_backend[backend]++;
		return;
	}
	result.by_service[service]++;
	result.by_backend[backend]++;
	if (state == SESSION_CLOSING)
		return;
	result.open_by_service[service]++;
	result.open_by_backend[backend]++;
}

} // namespace

void WalkSessions(void *slots, size_t count, const SweepOrder &order, SweepCount &result)
{
	auto *slot = static_cast<session_slot *>(slots);
	for (size_t index = 0; index < count; index++, slot++) {
		uint64_t tag = Load(slot->tag);
		if (tag == 0)
			continue;
		uint64_t value = Load(slot->value);
		uint32_t state = value >> 56 & (kStates - 1);
		if (state == SESSION_UNFINISHED) {
			result.by_state[SESSION_UNFINISHED]++;
			result.unfinished.push_back(static_cast<uint32_t>(index));
			continue;
		}
		if (IsFlow(state) || IsSource(state)) {
			Verdict verdict = Judge(order, value, state);
			if (verdict != Verdict::kKeep && Free(*slot, tag, value)) {
				(verdict == Verdict::kExpired ? result.expired : result.purged)++;
				continue;
			}
			Count(value, state, result);
		}
		result.by_state[state]++;
	}
}

bool ClearSessionSlot(void *slots, size_t index, uint64_t tag)
{
	session_slot &slot = static_cast<session_slot *>(slots)[index];
	for (;;) {
		uint64_t value = Load(slot.value);
		if (tag == 0 || Load(slot.tag) != tag)
			return false;
		if (value == 0 || Exchange(slot.value, value))
			return Exchange(slot.tag, tag);
	}
}

} // namespace spillway
