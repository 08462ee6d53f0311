/*
 * Which of two sessions of one tag stays: a total order, so that records end in the same table in whatever order, and
 * however often, they come. First what has been confirmed, then what was seen later, then the greater backend (by its
 * wire id, the same on every node), then the one that is closing.
 */
#pragma once
#include "sync_store.h"

namespace spillway
{

/* One packet alone says less than a connection that was seen in both directions, however long ago. */
inline bool IsYoung(uint64_t value)
{
	return (StateOf(value) & 3) == SESSION_YOUNG;
}

/* Ticks that `a` was seen after `b`; both are less than half of a turn of the counter away. */
inline int32_t TicksAfter(uint32_t a, uint32_t b)
{
	return static_cast<int32_t>((a - b) << (32 - TICK_BITS)) >> (32 - TICK_BITS);
}

/* `value` replaces what is `there`. */
inline bool Wins(uint64_t value, uint64_t there, const SyncView &view)
{
	uint32_t timeout = view.names->Timeout(ServiceOf(there), StateOf(there));
	if (IdleTicks(there, view.tick) > timeout)
		return true; /* it is over, if not swept yet */
	if (IsYoung(value) != IsYoung(there))
		return !IsYoung(value);
	if (int32_t after = TicksAfter(TickOf(value), TickOf(there)))
		return after > 0;
	uint32_t mine = view.names->BackendWire(BackendOf(value)), theirs = view.names->BackendWire(BackendOf(there));
	if (mine != theirs)
		return mine > theirs;
	return StateOf(value) == SESSION_CLOSING && StateOf(there) != SESSION_CLOSING;
}

} // namespace spillway
