#include "sync_engine.h"
#include "error.h"
#include "sync_args.h"
#include "sync_courier.h"
#include "sync_table.h"

#include <cerrno>

namespace spillway
{

namespace
{

std::vector<SyncEndpoint> ReadPeers(Args &args, Napi::Value value, bool v6, uint16_t port)
{
	std::vector<SyncEndpoint> peers;
	Napi::Array list = args.Array(value, "peers");
	for (uint32_t i = 0; !args.failed() && i < list.Length(); i++) {
		peers.push_back(ReadAddress(args, list.Get(i), "peers", port));
		if (!args.failed() && peers.back().v6 != v6)
			args.Fail("peers must be of the family of address");
	}
	if (!args.failed() && peers.size() > SyncCore::kMostPeers)
		args.Fail("peers are 256 at most");
	return peers;
}

SyncAddresses ReadAddresses(Args &args, Napi::Object options)
{
	SyncAddresses addresses;
	addresses.interface = args.Text(args.Field(options, "interface"), "interface");
	uint16_t port = args.Number(args.Field(options, "port"), "port", 1, UINT16_MAX);
	addresses.own = ReadAddress(args, args.Field(options, "address"), "address", port);
	Napi::Value group = args.Field(options, "group");
	addresses.multicast = !IsAbsent(group);
	if (addresses.multicast) {
		addresses.group = ReadAddress(args, group, "group", port);
		if (!args.failed() && addresses.group.v6 != addresses.own.v6)
			args.Fail("group must be of the family of address");
	}
	addresses.peers = ReadPeers(args, args.Field(options, "peers"), addresses.own.v6, port);
	return addresses;
}

} // namespace

Napi::Function SyncEngine::Define(Napi::Env env)
{
	return DefineClass(env, "SyncEngine",
			   {
				   InstanceMethod("setKeys", &SyncEngine::SetKeys),
				   InstanceMethod("setRate", &SyncEngine::SetRate),
				   InstanceMethod("setPeers", &SyncEngine::SetPeers),
				   InstanceMethod("admit", &SyncEngine::Admit),
				   InstanceMethod("forget", &SyncEngine::Forget),
				   InstanceMethod("control", &SyncEngine::Control),
				   InstanceMethod("counters", &SyncEngine::Counters),
				   InstanceMethod("peers", &SyncEngine::Peers),
				   InstanceMethod("cpuNs", &SyncEngine::CpuNs),
				   InstanceMethod("sendError", &SyncEngine::SendError),
				   InstanceMethod("close", &SyncEngine::Close),
			   });
}

SyncEngine::SyncEngine(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	Args args(env, "SyncEngine");
	Napi::Object options = args.Object(info[0], "options");
	Napi::Value table = args.Field(options, "table"), log = args.Field(options, "log");
	SyncCoreSettings settings = ReadSettings(args, options);
	SyncAddresses addresses = ReadAddresses(args, options);
	Napi::Function callback = args.Function(info[1], "onEvents");
	Bytes logs = ReadLog(args, log);
	if (args.failed())
		return;
	SyncTable *owner = Expect<SyncTable>(env, table, args.call(), "table");
	if (owner == nullptr)
		return;
	auto courier = std::make_shared<SyncCourier>(owner->store(), reinterpret_cast<session_log *>(logs.data),
						     logs.size / sizeof(session_log), std::move(settings));
	const char *call = nullptr;
	if (int error = courier->Open(addresses, call)) {
		std::string where = args.Text(args.Field(options, "address"), "address") + " port " +
				    std::to_string(addresses.own.port) + " on " + addresses.interface;
		if (addresses.multicast)
			where += ", group " + args.Text(args.Field(options, "group"), "group");
		ThrowErrno(env, error, call, nullptr, where);
		return;
	}
	table_ = Napi::Persistent(table.As<Napi::Object>());
	if (logs.data != nullptr)
		log_ = Napi::Persistent(log.As<Napi::ArrayBuffer>());
	v6_ = addresses.own.v6;
	port_ = addresses.own.port;
	if (courier->Start(env, callback, "spillway-sync"))
		courier_ = courier;
}

SyncEngine::~SyncEngine()
{
	if (courier_)
		courier_->Close();
}

std::shared_ptr<SyncCourier> SyncEngine::Open(Napi::Env env, const char *call)
{
	if (!courier_)
		ThrowClosed(env, call);
	return courier_;
}

Napi::Value SyncEngine::SetKeys(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncEngine.setKeys");
	std::vector<SyncKey> keys = ReadKeys(args, info[0]);
	auto courier = Open(info.Env(), args.call());
	if (!args.failed())
		courier->With([&](SyncCore &core) { core.SetKeys(std::move(keys)); });
	return {};
}

Napi::Value SyncEngine::SetRate(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncEngine.setRate");
	uint32_t rate = args.Number(info[0], "recordsPerSecond", 0, 1'000'000'000);
	auto courier = Open(info.Env(), args.call());
	if (!args.failed())
		courier->With([&](SyncCore &core) { core.SetRate(rate); });
	return {};
}

Napi::Value SyncEngine::SetPeers(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncEngine.setPeers");
	std::vector<SyncEndpoint> peers = ReadPeers(args, info[0], v6_, port_);
	auto courier = Open(info.Env(), args.call());
	if (!args.failed())
		courier->SetPeers(std::move(peers));
	return {};
}

Napi::Value SyncEngine::Admit(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncEngine.admit");
	uint32_t node = args.Number(info[0], "node");
	uint64_t boot = ReadBig(args, info[1], "boot");
	auto courier = Open(info.Env(), args.call());
	bool admitted = true;
	if (!args.failed())
		courier->With([&](SyncCore &core) { admitted = core.Admit(node, boot); });
	if (!admitted)
		args.Fail("256 nodes are admitted: no more");
	return {};
}

Napi::Value SyncEngine::Forget(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncEngine.forget");
	uint32_t node = args.Number(info[0], "node");
	auto courier = Open(info.Env(), args.call());
	if (!args.failed())
		courier->With([&](SyncCore &core) { core.Forget(node); });
	return {};
}

Napi::Value SyncEngine::Control(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "SyncEngine.control");
	auto courier = Open(env, args.call());
	if (args.failed())
		return {};
	size_t most = 0;
	courier->With([&](SyncCore &core) { most = core.most_control_bytes(); });
	std::vector<uint8_t> body = ReadBody(args, info[0], most);
	bool everyone = IsAbsent(info[1]);
	SyncEndpoint to = everyone ? SyncEndpoint{} : ReadEndpoint(args, info[1], "to");
	if (!args.failed() && !everyone && to.v6 != v6_)
		args.Fail("to must be of the family of the engine's address");
	if (args.failed())
		return {};
	if (!courier->Control(std::move(body), everyone ? nullptr : &to))
		ThrowErrno(env, ENOBUFS, "control");
	return {};
}

Napi::Value SyncEngine::Counters(const Napi::CallbackInfo &info)
{
	auto courier = Open(info.Env(), "SyncEngine.counters");
	if (!courier)
		return {};
	SyncCounters counters;
	courier->With([&](SyncCore &core) { counters = core.counters(); });
	return MakeCounters(info.Env(), counters);
}

Napi::Value SyncEngine::Peers(const Napi::CallbackInfo &info)
{
	auto courier = Open(info.Env(), "SyncEngine.peers");
	if (!courier)
		return {};
	std::vector<SyncPeerReport> peers;
	courier->With([&](SyncCore &core) { peers = ReportPeers(core); });
	return MakePeers(info.Env(), peers);
}

Napi::Value SyncEngine::CpuNs(const Napi::CallbackInfo &info)
{
	auto courier = Open(info.Env(), "SyncEngine.cpuNs");
	if (!courier)
		return {};
	return Napi::BigInt::New(info.Env(), courier->cpu_ns());
}

Napi::Value SyncEngine::SendError(const Napi::CallbackInfo &info)
{
	auto courier = Open(info.Env(), "SyncEngine.sendError");
	if (!courier)
		return {};
	int error = courier->send_error();
	return error == 0 ? info.Env().Null() : Napi::Value(Napi::String::New(info.Env(), ErrnoName(error)));
}

Napi::Value SyncEngine::Close(const Napi::CallbackInfo &info)
{
	if (courier_)
		courier_->Close();
	courier_.reset();
	return {};
}

} // namespace spillway
