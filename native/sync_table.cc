#include "sync_table.h"
#include "args.h"
#include "error.h"
#include "sync_args.h"
#include "sync_walk.h"

#include <bit>

namespace spillway
{

namespace
{

constexpr uint32_t kMostRanges = 65536;

/* On a thread of the pool, with the table held. Node waits for it before an environment goes. */
class TableWorker : public Napi::AsyncWorker
{
      public:
	TableWorker(Napi::Env env, Napi::Object table, const char *name)
	    : AsyncWorker(env, name), table_(Napi::Persistent(table)), store_(SyncTable::Unwrap(table)->store()),
	      view_(store_->View(MonotonicNs()))
	{
	}

	/* The promise of what Result() gives; undefined when there can be none (a worker that is terminated). */
	static Napi::Value Run(TableWorker *worker)
	{
		napi_value promise;
		if (napi_create_promise(worker->Env(), &worker->deferred_, &promise) != napi_ok) {
			delete worker;
			return {};
		}
		Napi::Env env = worker->Env();
		worker->Queue(); /* frees itself when done */
		return Napi::Value(env, promise);
	}

	void OnOK() override
	{
		napi_resolve_deferred(Env(), deferred_, Result(Env()));
	}

      protected:
	virtual Napi::Value Result(Napi::Env env) = 0;
	SyncStore &store()
	{
		return *store_;
	}
	const SyncView &view() const
	{
		return view_;
	}

      private:
	napi_deferred deferred_ = nullptr;
	Napi::ObjectReference table_;
	std::shared_ptr<SyncStore> store_;
	SyncView view_;
};

class DigestWorker : public TableWorker
{
      public:
	DigestWorker(Napi::Env env, Napi::Object table, uint32_t ranges)
	    : TableWorker(env, table, "spillway-digest"), ranges_(ranges)
	{
	}
	void Execute() override
	{
		digest_ = DigestTable(store(), ranges_, view());
	}

      private:
	Napi::Value Result(Napi::Env env) override
	{
		Napi::Uint32Array counts = Napi::Uint32Array::New(env, ranges_);
		Napi::BigUint64Array sums = Napi::BigUint64Array::New(env, ranges_);
		if (counts.IsEmpty() || sums.IsEmpty())
			return env.Undefined();
		memcpy(counts.Data(), digest_.counts.data(), ranges_ * sizeof(uint32_t));
		memcpy(sums.Data(), digest_.sums.data(), ranges_ * sizeof(uint64_t));
		Napi::Object result = Napi::Object::New(env);
		result.Set("counts", counts);
		result.Set("sums", sums);
		return result;
	}
	uint32_t ranges_;
	TableDigest digest_;
};

class ExportWorker : public TableWorker
{
      public:
	ExportWorker(Napi::Env env, Napi::Object table, ExportOrder order)
	    : TableWorker(env, table, "spillway-export"), order_(std::move(order))
	{
	}
	void Execute() override
	{
		export_ = ExportTable(store(), order_, view());
	}

      private:
	Napi::Value Result(Napi::Env env) override
	{
		Napi::Object result = Napi::Object::New(env);
		result.Set("records", MakeBytes(env, export_.records.data(), export_.records.size()));
		result.Set("count", export_.count);
		result.Set("cursor",
			   export_.cursor ? Napi::Value(Napi::Number::New(env, *export_.cursor)) : env.Null());
		return result;
	}
	ExportOrder order_;
	TableExport export_;
};

class ImportWorker : public TableWorker
{
      public:
	ImportWorker(Napi::Env env, Napi::Object table, std::vector<uint8_t> records, uint16_t origin)
	    : TableWorker(env, table, "spillway-import"), records_(std::move(records)), origin_(origin)
	{
	}
	void Execute() override
	{
		counts_ = ImportRecords(store(), records_.data(), view(), origin_);
	}

      private:
	Napi::Value Result(Napi::Env env) override
	{
		Napi::Object result = Napi::Object::New(env);
		result.Set("applied", static_cast<double>(counts_.applied));
		result.Set("stale", static_cast<double>(counts_.stale));
		result.Set("unknown", static_cast<double>(counts_.unknown));
		result.Set("noRoom", static_cast<double>(counts_.no_room));
		return result;
	}
	std::vector<uint8_t> records_;
	uint16_t origin_;
	MergeCounts counts_;
};

template <typename T>
std::vector<T> Numbers(Args &args, Napi::Object object, const char *name, napi_typedarray_type type)
{
	Napi::Value value = args.Field(object, name);
	if (args.failed())
		return {};
	if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
		args.Fail(std::string(name) + " is no array of the type that addon.d.ts names");
		return {};
	}
	auto array = value.As<Napi::TypedArrayOf<T>>();
	return {array.Data(), array.Data() + array.ElementLength()};
}

} // namespace

Napi::Function SyncTable::Define(Napi::Env env)
{
	return DefineClass(env, "SyncTable",
			   {
				   InstanceMethod("setDictionary", &SyncTable::SetDictionary),
				   InstanceMethod("setClock", &SyncTable::SetClock),
				   InstanceMethod("digest", &SyncTable::Digest),
				   InstanceMethod("export", &SyncTable::Export),
				   InstanceMethod("import", &SyncTable::Import),
			   });
}

SyncTable::SyncTable(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Args args(info.Env(), "SyncTable");
	Napi::Object memory = args.Object(info[0], "memory");
	Napi::Value sessions = args.Field(memory, "sessions"), details = args.Field(memory, "details");
	Bytes slots = args.Buffer(sessions, "sessions"), beside = args.Buffer(details, "details");
	if (args.failed())
		return;
	size_t buckets = slots.size / sizeof(session_bucket);
	if (slots.size % sizeof(session_bucket) != 0 || buckets < 2 || buckets > UINT32_MAX / SLOTS_PER_BUCKET)
		args.Fail("sessions must hold whole buckets of 64 bytes, two at least");
	else if (beside.size / sizeof(session_detail) < buckets * SLOTS_PER_BUCKET)
		args.Fail("details must hold 32 bytes for each slot of sessions");
	if (args.failed())
		return;
	sessions_ = Napi::Persistent(sessions.As<Napi::ArrayBuffer>());
	details_ = Napi::Persistent(details.As<Napi::ArrayBuffer>());
	store_ = std::make_shared<SyncStore>(slots.data, beside.data, static_cast<uint32_t>(buckets));
	info.This().As<Napi::Object>().TypeTag(&kTag);
}

Napi::Value SyncTable::SetDictionary(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncTable.setDictionary");
	Napi::Object object = args.Object(info[0], "dictionary");
	SyncNames names;
	names.service_wire = Numbers<uint32_t>(args, object, "serviceWire", napi_uint32_array);
	names.service_pool = Numbers<uint16_t>(args, object, "servicePool", napi_uint16_array);
	names.service_protocol = Numbers<uint8_t>(args, object, "serviceProtocol", napi_uint8_array);
	names.backend_wire = Numbers<uint32_t>(args, object, "backendWire", napi_uint32_array);
	names.backend_pool = Numbers<uint16_t>(args, object, "backendPool", napi_uint16_array);
	names.timeouts = Numbers<uint16_t>(args, object, "timeouts", napi_uint16_array);
	if (!args.failed() && (names.service_wire.size() > 65536 || names.backend_wire.size() > 65536))
		args.Fail("serviceWire and backendWire have 65536 entries at most");
	if (!args.failed() && (names.service_pool.size() != names.service_wire.size() ||
			       names.service_protocol.size() != names.service_wire.size() ||
			       names.backend_pool.size() != names.backend_wire.size()))
		args.Fail(
			"servicePool, serviceProtocol and backendPool must be as long as serviceWire and backendWire");
	if (args.failed())
		return {};
	auto dictionary = std::make_shared<const SyncDictionary>(std::move(names));
	uint32_t collisions = dictionary->collisions();
	store_->SetNames(std::move(dictionary));
	return Napi::Number::New(info.Env(), collisions);
}

Napi::Value SyncTable::SetClock(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncTable.setClock");
	Napi::Object object = args.Object(info[0], "clock");
	SyncClock clock;
	clock.tick = args.Number(args.Field(object, "tick"), "tick", 0, TICK_MASK);
	clock.at_ns = ReadBig(args, args.Field(object, "monotonicNs"), "monotonicNs");
	clock.tick_ns = args.Number(args.Field(object, "tickNs"), "tickNs");
	if (!args.failed())
		store_->SetClock(clock);
	return {};
}

Napi::Value SyncTable::Digest(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncTable.digest");
	uint32_t ranges = args.Number(info[0], "ranges", 1, kMostRanges);
	if (!args.failed() && !std::has_single_bit(ranges))
		args.Fail("ranges must be a power of two");
	if (args.failed())
		return {};
	return TableWorker::Run(new DigestWorker(info.Env(), Value(), ranges));
}

Napi::Value SyncTable::Export(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncTable.export");
	Napi::Object options = args.Object(info[0], "options");
	ExportOrder order;
	order.cursor = args.Number(args.Field(options, "cursor"), "cursor", 0, store_->slots().count());
	order.limit = args.Number(args.Field(options, "limit"), "limit", 1, 1 << 24);
	order.ranges = args.Number(args.Field(options, "ranges"), "ranges", 1, kMostRanges);
	auto wanted = args.Copy(args.Field(options, "wanted"), "wanted");
	if (!args.failed() && !std::has_single_bit(order.ranges))
		args.Fail("ranges must be a power of two");
	if (!args.failed() && wanted && wanted->size() < (order.ranges + 7) / 8)
		args.Fail("wanted must have a bit for each range");
	if (args.failed())
		return {};
	order.wanted = std::move(wanted).value_or(std::vector<uint8_t>());
	return TableWorker::Run(new ExportWorker(info.Env(), Value(), std::move(order)));
}

Napi::Value SyncTable::Import(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "SyncTable.import");
	auto records = args.Copy(info[0], "records");
	uint32_t origin = args.Number(info[1], "origin", 0, UINT16_MAX);
	if (!args.failed() && (!records || !ValidRecords(records->data(), records->size())))
		args.Fail("records are not two counts and so many records of 24 and 36 bytes");
	if (args.failed())
		return {};
	return TableWorker::Run(new ImportWorker(info.Env(), Value(), std::move(*records), origin));
}

} // namespace spillway
