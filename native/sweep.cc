#include "sweep.h"
#include "args.h"
#include "error.h"
#include "sweep_walk.h"

#include <cstring>

namespace spillway
{

namespace
{

constexpr size_t kSlotBytes = 16;

Napi::Value Counts(Napi::Env env, const uint32_t *counts, size_t length)
{
	Napi::Uint32Array array = Napi::Uint32Array::New(env, length);
	if (!array.IsEmpty() && length > 0)
		memcpy(array.Data(), counts, length * sizeof(*counts));
	return array;
}

/* The slots in an ArrayBuffer; empty with ERR_ARG pending when it is none. */
Bytes Slots(Args &args, Napi::Value value)
{
	Bytes bytes = args.Buffer(value, "sessions");
	if (!args.failed() && (bytes.size == 0 || bytes.size % kSlotBytes != 0))
		args.Fail("sessions must hold whole slots of 16 bytes");
	return bytes;
}

/* On a thread of the pool. Node waits for it before an environment goes. */
class SweepWorker : public Napi::AsyncWorker
{
      public:
	SweepWorker(Napi::Env env, napi_deferred deferred, Napi::ArrayBuffer sessions, SweepOrder order)
	    : AsyncWorker(env, "spillway-sweep"), deferred_(deferred), sessions_(Napi::Persistent(sessions)),
	      order_(std::move(order)), slots_(sessions.Data()), count_(sessions.ByteLength() / kSlotBytes)
	{
	}

	void Execute() override
	{
		WalkSessions(slots_, count_, order_, result_);
	}

	void OnOK() override
	{
		Napi::Env env = Env();
		Napi::Object result = Napi::Object::New(env);
		result.Set("byState", Counts(env, result_.by_state, kStates));
		result.Set("byService", Counts(env, result_.by_service.data(), kIds));
		result.Set("openByService", Counts(env, result_.open_by_service.data(), kIds));
		result.Set("byBackend", Counts(env, result_.by_backend.data(), kIds));
		result.Set("openByBackend", Counts(env, result_.open_by_backend.data(), kIds));
		result.Set("sourcesByService", Counts(env, result_.sources_by_service.data(), kIds));
		result.Set("sourcesByBackend", Counts(env, result_.sources_by_backend.data(), kIds));
		result.Set("expired", result_.expired);
		result.Set("purged", result_.purged);
		result.Set("unfinished", Counts(env, result_.unfinished.data(), result_.unfinished.size()));
		napi_resolve_deferred(env, deferred_, result); /* refused in a worker that is terminated */
	}

      private:
	napi_deferred deferred_;
	Napi::Reference<Napi::ArrayBuffer> sessions_; /* keeps the mapping while the thread walks */
	SweepOrder order_;
	void *slots_;
	size_t count_;
	SweepCount result_;
};

} // namespace

Napi::Value SweepSessions(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "sweepSessions");
	SweepOrder order;
	Napi::Object options = args.Object(info[0], "options");
	order.now_tick = args.Number(args.Field(options, "nowTick"), "nowTick", 0, (1u << 24) - 1);
	order.expire = args.Flag(args.Field(options, "expire"), "expire", false);
	order.purge_backends =
		args.Copy(args.Field(options, "purgeBackends"), "purgeBackends").value_or(std::vector<uint8_t>());
	order.purge_services =
		args.Copy(args.Field(options, "purgeServices"), "purgeServices").value_or(std::vector<uint8_t>());
	Napi::Value timeouts = args.Field(options, "timeouts");
	Napi::Value sessions = args.Field(options, "sessions");
	if (!args.failed() &&
	    (!timeouts.IsTypedArray() || timeouts.As<Napi::TypedArray>().TypedArrayType() != napi_uint16_array))
		args.Fail("timeouts must be a Uint16Array");
	Slots(args, sessions);
	if (args.failed())
		return {};
	Napi::Uint16Array array = timeouts.As<Napi::Uint16Array>();
	order.timeouts.assign(array.Data(), array.Data() + array.ElementLength());
	/* Not Promise::Deferred: it holds an uninitialised handle when a worker that is terminated refuses the promise.
	 */
	napi_deferred deferred;
	napi_value promise;
	if (napi_create_promise(env, &deferred, &promise) != napi_ok)
		return {};
	auto *worker = new SweepWorker(env, deferred, sessions.As<Napi::ArrayBuffer>(), std::move(order));
	worker->Queue(); /* frees itself when done */
	return Napi::Value(env, promise);
}

Napi::Value ClearSlot(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "clearSlot");
	Bytes slots = Slots(args, info[0]);
	uint32_t slot = args.Number(info[1], "slot", 0, slots.size == 0 ? 0 : slots.size / kSlotBytes - 1);
	if (!args.failed() && !info[2].IsBigInt())
		args.Fail("tag must be a bigint");
	if (args.failed())
		return {};
	bool lossless = false;
	uint64_t tag = info[2].As<Napi::BigInt>().Uint64Value(&lossless);
	return Napi::Boolean::New(env, lossless && ClearSessionSlot(slots.data, slot, tag));
}

} // namespace spillway
