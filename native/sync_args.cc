#include "sync_args.h"

#include <arpa/inet.h>
#include <ctime>

namespace spillway
{

namespace
{

constexpr uint32_t kLeastDatagram = 256, kMostDatagram = 9000;

} // namespace

uint64_t MonotonicNs()
{
	timespec now = {};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

uint64_t ReadBig(Args &args, Napi::Value value, const char *name)
{
	bool lossless = false;
	uint64_t number = 0;
	if (args.failed())
		return 0;
	if (value.IsBigInt())
		number = value.As<Napi::BigInt>().Uint64Value(&lossless);
	if (!lossless)
		args.Fail(std::string(name) + " must be a bigint of 64 bits, not negative");
	return number;
}

std::vector<SyncKey> ReadKeys(Args &args, Napi::Value value)
{
	std::vector<SyncKey> keys;
	Napi::Array list = args.Array(value, "keys");
	if (!args.failed() && (list.Length() == 0 || list.Length() > kMostSyncKeys))
		args.Fail("keys must be 1 to 8");
	for (uint32_t i = 0; !args.failed() && i < list.Length(); i++) {
		Napi::Object object = args.Object(list.Get(i), "key");
		SyncKey key;
		key.id = args.Number(args.Field(object, "id"), "id");
		Bytes bytes = args.View(args.Field(object, "key"), "key", kSyncKeyBytes);
		if (args.failed())
			break;
		std::copy(bytes.data, bytes.data + bytes.size, key.key.begin());
		keys.push_back(key);
	}
	return keys;
}

SyncEndpoint ReadAddress(Args &args, Napi::Value value, const char *name, uint16_t port)
{
	SyncEndpoint endpoint;
	std::string text = args.Text(value, name);
	if (args.failed())
		return endpoint;
	endpoint.port = port;
	endpoint.v6 = text.find(':') != std::string::npos;
	if (inet_pton(endpoint.v6 ? AF_INET6 : AF_INET, text.c_str(), endpoint.address) != 1)
		args.Fail(std::string(name) + " '" + text + "' is not an IP address");
	return endpoint;
}

SyncEndpoint ReadEndpoint(Args &args, Napi::Value value, const char *name)
{
	Napi::Object object = args.Object(value, name);
	uint32_t port = args.Number(args.Field(object, "port"), "port", 1, UINT16_MAX);
	return ReadAddress(args, args.Field(object, "address"), "address", port);
}

std::vector<uint8_t> ReadBody(Args &args, Napi::Value value, size_t most)
{
	std::vector<uint8_t> body = args.Copy(value, "body").value_or(std::vector<uint8_t>());
	if (!args.failed() && body.size() > most)
		args.Fail("body has " + std::to_string(body.size()) + " bytes; a datagram holds " +
			  std::to_string(most));
	return body;
}

SyncCoreSettings ReadSettings(Args &args, Napi::Object options)
{
	SyncCoreSettings settings;
	settings.self.node = args.Number(args.Field(options, "node"), "node");
	settings.self.boot = ReadBig(args, args.Field(options, "boot"), "boot");
	settings.keys = ReadKeys(args, args.Field(options, "keys"));
	settings.records_per_second =
		args.Number(args.Field(options, "recordsPerSecond"), "recordsPerSecond", 0, 1'000'000'000);
	settings.datagram_bytes =
		args.Number(args.Field(options, "datagramBytes"), "datagramBytes", kLeastDatagram, kMostDatagram, 1400);
	if (!args.failed() && !PrepareMac())
		args.Fail("libsodium cannot be used on this machine");
	return settings;
}

Bytes ReadLog(Args &args, Napi::Value value)
{
	if (IsAbsent(value))
		return {};
	Bytes log = args.Buffer(value, "log");
	if (!args.failed() && log.size % sizeof(session_log) != 0)
		args.Fail("log must hold whole logs of " + std::to_string(sizeof(session_log)) + " bytes");
	return log;
}

Napi::Value MakeEndpoint(Napi::Env env, const SyncEndpoint &endpoint)
{
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(endpoint.v6 ? AF_INET6 : AF_INET, endpoint.address, text, sizeof(text));
	Napi::Object object = Napi::Object::New(env);
	object.Set("address", text);
	object.Set("port", endpoint.port);
	return object;
}

Napi::Value MakeEvents(Napi::Env env, const SyncEventBatch &events)
{
	Napi::Array control = Napi::Array::New(env), lost = Napi::Array::New(env);
	for (uint32_t i = 0; i < events.control.size(); i++) {
		Napi::HandleScope scope(env);
		const SyncControlEvent &event = events.control[i];
		Napi::Object object = Napi::Object::New(env);
		object.Set("node", event.from.node);
		object.Set("boot", Napi::BigInt::New(env, event.from.boot));
		object.Set("admitted", event.admitted);
		object.Set("from", MakeEndpoint(env, event.endpoint));
		object.Set("body", MakeBytes(env, event.body.data(), event.body.size()));
		control.Set(i, object);
	}
	for (uint32_t i = 0; i < events.lost.size(); i++) {
		Napi::HandleScope scope(env);
		Napi::Object object = Napi::Object::New(env);
		object.Set("node", events.lost[i].from.node);
		object.Set("boot", Napi::BigInt::New(env, events.lost[i].from.boot));
		object.Set("datagrams", static_cast<double>(events.lost[i].datagrams));
		lost.Set(i, object);
	}
	Napi::Object result = Napi::Object::New(env);
	result.Set("control", control);
	result.Set("lost", lost);
	result.Set("unannounced", static_cast<double>(events.unannounced));
	return result;
}

Napi::Value MakeCounters(Napi::Env env, const SyncCounters &counters)
{
	Napi::Object object = Napi::Object::New(env);
	for (const SyncCounterName &each : kSyncCounterNames)
		object.Set(each.name, Napi::BigInt::New(env, counters.*each.counter));
	return object;
}

std::vector<SyncPeerReport> ReportPeers(const SyncCore &core)
{
	std::vector<SyncPeerReport> reports;
	for (const auto &[node, peer] : core.peers())
		reports.push_back({node, peer->boot, peer->datagrams, peer->records, peer->missed, peer->repaired,
				   peer->given_up});
	return reports;
}

Napi::Value MakePeers(Napi::Env env, const std::vector<SyncPeerReport> &peers)
{
	Napi::Array result = Napi::Array::New(env, peers.size());
	for (uint32_t i = 0; i < peers.size(); i++) {
		Napi::HandleScope scope(env);
		Napi::Object object = Napi::Object::New(env);
		object.Set("node", peers[i].node);
		object.Set("boot", Napi::BigInt::New(env, peers[i].boot));
		object.Set("datagrams", Napi::BigInt::New(env, peers[i].datagrams));
		object.Set("records", Napi::BigInt::New(env, peers[i].records));
		object.Set("missed", Napi::BigInt::New(env, peers[i].missed));
		object.Set("repaired", Napi::BigInt::New(env, peers[i].repaired));
		object.Set("givenUp", Napi::BigInt::New(env, peers[i].given_up));
		result.Set(i, object);
	}
	return result;
}

} // namespace spillway
