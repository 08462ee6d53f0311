/* What JS says to the protocol and hears from it: addon.d.ts from SyncKey on. */
#pragma once
#include "args.h"
#include "sync_core.h"

#include <napi.h>

namespace spillway
{

uint64_t MonotonicNs();
uint64_t ReadBig(Args &args, Napi::Value value, const char *name);
std::vector<SyncKey> ReadKeys(Args &args, Napi::Value value);
/* {address, port}, or an address as text alone. */
SyncEndpoint ReadEndpoint(Args &args, Napi::Value value, const char *name);
SyncEndpoint ReadAddress(Args &args, Napi::Value value, const char *name, uint16_t port);
/* A body of CONTROL that fits into a datagram. */
std::vector<uint8_t> ReadBody(Args &args, Napi::Value value, size_t most);
SyncCoreSettings ReadSettings(Args &args, Napi::Object options);
/* Memory of `session_log`; empty when there is none. */
Bytes ReadLog(Args &args, Napi::Value value);

Napi::Value MakeEndpoint(Napi::Env env, const SyncEndpoint &endpoint);
Napi::Value MakeEvents(Napi::Env env, const SyncEventBatch &events);
Napi::Value MakeCounters(Napi::Env env, const SyncCounters &counters);

struct SyncPeerReport {
	uint32_t node;
	uint64_t boot, datagrams, records, missed, repaired, given_up;
};
std::vector<SyncPeerReport> ReportPeers(const SyncCore &core);
Napi::Value MakePeers(Napi::Env env, const std::vector<SyncPeerReport> &peers);

} // namespace spillway
