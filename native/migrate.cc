#include "migrate.h"
#include "../bpf/abi_types.h"
#include "args.h"
#include "migrate_walk.h"

namespace spillway
{

namespace
{

SessionMemory Memory(Args &args, Napi::Value value, const char *name)
{
	Napi::Object tables = args.Object(value, name);
	Bytes sessions = args.Buffer(args.Field(tables, "sessions"), "sessions");
	Bytes details = args.Buffer(args.Field(tables, "details"), "details");
	size_t buckets = sessions.size / sizeof(session_bucket);
	bool whole = buckets >= 2 && buckets <= UINT32_MAX / SLOTS_PER_BUCKET &&
		     sessions.size % sizeof(session_bucket) == 0 &&
		     details.size >= buckets * SLOTS_PER_BUCKET * sizeof(session_detail);
	if (!args.failed() && !whole)
		args.Fail(std::string(name) + " must hold at least two whole buckets, and a detail for each slot");
	return {reinterpret_cast<session_bucket *>(sessions.data), reinterpret_cast<session_detail *>(details.data),
		static_cast<uint32_t>(buckets)};
}

} // namespace

Napi::Value MigrateSessions(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "migrateSessions");
	Napi::Object options = args.Object(info[0], "options");
	MigrateOrder order;
	order.now_tick = args.Number(args.Field(options, "nowTick"), "nowTick", 0, TICK_MASK);
	order.from = Memory(args, args.Field(options, "from"), "from");
	order.to = Memory(args, args.Field(options, "to"), "to");
	Bytes copied = args.Buffer(args.Field(options, "copied"), "copied");
	if (!args.failed() && copied.size != order.from.buckets * sizeof(session_bucket))
		args.Fail("copied must be as large as from.sessions");
	Napi::Value timeouts = args.Field(options, "timeouts");
	if (!args.failed() &&
	    (!timeouts.IsTypedArray() || timeouts.As<Napi::TypedArray>().TypedArrayType() != napi_uint16_array))
		args.Fail("timeouts must be a Uint16Array");
	if (args.failed())
		return {};
	Napi::Uint16Array array = timeouts.As<Napi::Uint16Array>();
	order.timeouts.assign(array.Data(), array.Data() + array.ElementLength());
	order.copied = reinterpret_cast<session_bucket *>(copied.data);
	MigrateCount count;
	MigrateWalk(order, count);
	Napi::Object result = Napi::Object::New(env);
	result.Set("inserted", count.inserted);
	result.Set("updated", count.updated);
	result.Set("kept", count.kept);
	result.Set("expired", count.expired);
	result.Set("noRoom", count.no_room);
	return result;
}

} // namespace spillway
