#include "sync_simulation.h"
#include "error.h"
#include "sync_args.h"
#include "sync_table.h"

#include <cerrno>

namespace spillway
{

Napi::Function SyncCoreObject::Define(Napi::Env env)
{
	return DefineClass(env, "SyncCore",
			   {
				   InstanceMethod("setKeys", &SyncCoreObject::SetKeys),
				   InstanceMethod("setRate", &SyncCoreObject::SetRate),
				   InstanceMethod("admit", &SyncCoreObject::Admit),
				   InstanceMethod("forget", &SyncCoreObject::Forget),
				   InstanceMethod("receive", &SyncCoreObject::Receive),
				   InstanceMethod("receiveAll", &SyncCoreObject::ReceiveAll),
				   InstanceMethod("control", &SyncCoreObject::Control),
				   InstanceMethod("poll", &SyncCoreObject::Poll),
				   InstanceMethod("events", &SyncCoreObject::Events),
				   InstanceMethod("counters", &SyncCoreObject::Counters),
				   InstanceMethod("peers", &SyncCoreObject::Peers),
			   });
}

SyncCoreObject::SyncCoreObject(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	Args args(env, "SyncCore");
	Napi::Object options = args.Object(info[0], "options");
	Napi::Value table = args.Field(options, "table"), log = args.Field(options, "log");
	SyncCoreSettings settings = ReadSettings(args, options);
	Bytes logs = ReadLog(args, log);
	if (args.failed())
		return;
	SyncTable *owner = Expect<SyncTable>(env, table, args.call(), "table");
	if (owner == nullptr)
		return;
	table_ = Napi::Persistent(table.As<Napi::Object>());
	if (logs.data != nullptr)
		log_ = Napi::Persistent(log.As<Napi::ArrayBuffer>());
	core_ = std::make_unique<SyncCore>(owner->store(), reinterpret_cast<session_log *>(logs.data),
					   logs.size / sizeof(session_log), std::move(settings));
}

Napi::Value SyncCoreObject::SetKeys(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.setKeys");
	std::vector<SyncKey> keys = ReadKeys(args, info[0]);
	if (!args.failed())
		core_->SetKeys(std::move(keys));
	return {};
}

Napi::Value SyncCoreObject::SetRate(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.setRate");
	uint32_t rate = args.Number(info[0], "recordsPerSecond", 0, 1'000'000'000);
	if (!args.failed())
		core_->SetRate(rate);
	return {};
}

Napi::Value SyncCoreObject::Admit(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.admit");
	uint32_t node = args.Number(info[0], "node");
	uint64_t boot = ReadBig(args, info[1], "boot");
	if (!args.failed() && !core_->Admit(node, boot))
		args.Fail("256 nodes are admitted: no more");
	return {};
}

Napi::Value SyncCoreObject::Forget(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.forget");
	uint32_t node = args.Number(info[0], "node");
	if (!args.failed())
		core_->Forget(node);
	return {};
}

Napi::Value SyncCoreObject::Receive(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.receive");
	SyncEndpoint from = ReadEndpoint(args, info[1], "from");
	uint64_t now = ReadBig(args, info[2], "nowNs");
	Bytes datagram = args.View(info[0], "datagram");
	if (!args.failed())
		core_->Receive(datagram.data, datagram.size, from, now);
	return {};
}

Napi::Value SyncCoreObject::ReceiveAll(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncCore.receiveAll");
	SyncEndpoint from = ReadEndpoint(args, info[1], "from");
	uint64_t now = ReadBig(args, info[2], "nowNs");
	Bytes packed = args.View(info[0], "datagrams");
	if (args.failed())
		return {};
	uint32_t count = 0;
	for (size_t at = 0; at < packed.size; count++) {
		uint32_t size;
		if (packed.size - at < sizeof(size))
			break;
		memcpy(&size, packed.data + at, sizeof(size));
		at += sizeof(size);
		if (size > packed.size - at)
			break;
		/* Of its very size, so that a sanitizer sees a read beyond it. */
		std::vector<uint8_t> datagram(packed.data + at, packed.data + at + size);
		core_->Receive(datagram.data(), size, from, now);
		at += size;
	}
	return Napi::Number::New(info.Env(), count);
}

Napi::Value SyncCoreObject::Control(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "SyncCore.control");
	std::vector<uint8_t> body = ReadBody(args, info[0], core_->most_control_bytes());
	bool everyone = IsAbsent(info[1]);
	SyncEndpoint to = everyone ? SyncEndpoint{} : ReadEndpoint(args, info[1], "to");
	if (args.failed())
		return {};
	if (!core_->Control(std::move(body), everyone ? nullptr : &to))
		ThrowErrno(env, ENOBUFS, "control");
	return {};
}

Napi::Value SyncCoreObject::Poll(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "SyncCore.poll");
	uint64_t now = ReadBig(args, info[0], "nowNs");
	if (args.failed())
		return {};
	Napi::Array result = Napi::Array::New(env);
	uint32_t count = 0;
	for (const Outgoing &outgoing : core_->Poll(now)) {
		core_->CountSent(1, outgoing.size, 0);
		Napi::HandleScope scope(env);
		Napi::Object object = Napi::Object::New(env);
		object.Set("to", outgoing.everyone ? env.Null() : MakeEndpoint(env, outgoing.to));
		object.Set("datagram", MakeBytes(env, outgoing.data, outgoing.size));
		result.Set(count++, object);
	}
	return result;
}

Napi::Value SyncCoreObject::Events(const Napi::CallbackInfo &info)
{
	return MakeEvents(info.Env(), core_->TakeEvents());
}

Napi::Value SyncCoreObject::Counters(const Napi::CallbackInfo &info)
{
	return MakeCounters(info.Env(), core_->counters());
}

Napi::Value SyncCoreObject::Peers(const Napi::CallbackInfo &info)
{
	return MakePeers(info.Env(), ReportPeers(*core_));
}

Napi::Value SyncMac(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "syncMac");
	SyncKey key;
	Bytes bytes = args.View(info[0], "key", kSyncKeyBytes), data = args.View(info[1], "data");
	if (!args.failed() && !PrepareMac())
		args.Fail("libsodium cannot be used on this machine");
	if (args.failed())
		return {};
	uint8_t mac[kSyncMacBytes];
	std::copy(bytes.data, bytes.data + bytes.size, key.key.begin());
	ComputeMac(key, data.data, data.size, mac);
	return MakeBytes(info.Env(), mac, sizeof(mac));
}

} // namespace spillway
