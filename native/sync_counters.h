/* By the names of src/sync/types.ts SyncCounters. No JS here. */
#pragma once
#include <cstdint>

namespace spillway
{

struct SyncCounters {
	uint64_t datagramsSent = 0, datagramsReceived = 0, bytesSent = 0, bytesReceived = 0;
	uint64_t recordsSent = 0, recordsReceived = 0;
	uint64_t recordsApplied = 0, recordsStale = 0, recordsUnknown = 0, recordsNoRoom = 0;
	uint64_t droppedMalformed = 0, droppedVersion = 0, droppedUnauthenticated = 0;
	uint64_t droppedReplayed = 0, droppedUnadmitted = 0;
	uint64_t missed = 0, repaired = 0, givenUp = 0, retransmitted = 0;
	uint64_t rateLimited = 0, logOverruns = 0, sendErrors = 0;
};

struct SyncCounterName {
	const char *name;
	uint64_t SyncCounters::*counter;
};

#define SPILLWAY_COUNTER(name)                                                                                         \
	{                                                                                                              \
#name, &SyncCounters::name                                                                             \
	}
constexpr SyncCounterName kSyncCounterNames[] = {
	SPILLWAY_COUNTER(datagramsSent),
	SPILLWAY_COUNTER(datagramsReceived),
	SPILLWAY_COUNTER(bytesSent),
	SPILLWAY_COUNTER(bytesReceived),
	SPILLWAY_COUNTER(recordsSent),
	SPILLWAY_COUNTER(recordsReceived),
	SPILLWAY_COUNTER(recordsApplied),
	SPILLWAY_COUNTER(recordsStale),
	SPILLWAY_COUNTER(recordsUnknown),
	SPILLWAY_COUNTER(recordsNoRoom),
	SPILLWAY_COUNTER(droppedMalformed),
	SPILLWAY_COUNTER(droppedVersion),
	SPILLWAY_COUNTER(droppedUnauthenticated),
	SPILLWAY_COUNTER(droppedReplayed),
	SPILLWAY_COUNTER(droppedUnadmitted),
	SPILLWAY_COUNTER(missed),
	SPILLWAY_COUNTER(repaired),
	SPILLWAY_COUNTER(givenUp),
	SPILLWAY_COUNTER(retransmitted),
	SPILLWAY_COUNTER(rateLimited),
	SPILLWAY_COUNTER(logOverruns),
	SPILLWAY_COUNTER(sendErrors),
};
#undef SPILLWAY_COUNTER

} // namespace spillway
