#include "prober.h"
#include "args.h"
#include "error.h"
#include "probe_loop.h"

namespace spillway
{

namespace
{

constexpr uint32_t kLongestMs = 3'600'000;
constexpr uint32_t kMostBytes = 1 << 24;

ProbeSpec ReadSpec(Args &args, Napi::Value value)
{
	ProbeSpec spec;
	Napi::Object request = args.Object(value, "request");
	spec.id = args.Number(args.Field(request, "id"), "id");
	std::string kind = args.Text(args.Field(request, "kind"), "kind");
	spec.udp = kind == "udp";
	spec.address = args.Copy(args.Field(request, "address"), "address").value_or(std::vector<uint8_t>());
	spec.port = args.Number(args.Field(request, "port"), "port", 1, UINT16_MAX);
	spec.mark = args.Number(args.Field(request, "mark"), "mark");
	spec.timeout_ms = args.Number(args.Field(request, "timeoutMs"), "timeoutMs", 1, kLongestMs);
	spec.send = args.Copy(args.Field(request, "send"), "send");
	spec.receive = args.Number(args.Field(request, "receive"), "receive", 0, kMostBytes);
	spec.until = args.Copy(args.Field(request, "until"), "until").value_or(std::vector<uint8_t>());
	spec.hand_over = args.Flag(args.Field(request, "handOver"), "handOver", false);
	if (!args.failed() && !spec.udp && kind != "tcp")
		args.Fail("kind must be tcp or udp");
	if (!args.failed() && spec.address.size() != 4 && spec.address.size() != 16)
		args.Fail("address must have 4 or 16 bytes");
	return spec;
}

} // namespace

/* Knows who still waits for what: outcomes of cancelled probes are dropped here, also when their id is in use anew. */
class ProbeDesk : public ProbeLoop
{
      public:
	/* False with ERR_ARG pending: nothing was started. */
	bool Start(Args &args, Napi::Env env, Napi::Array requests)
	{
		std::vector<ProbeSpec> specs;
		std::unordered_map<uint32_t, uint64_t> fresh;
		for (uint32_t index = 0; !args.failed() && index < requests.Length(); index++) {
			Napi::HandleScope scope(env);
			ProbeSpec spec = ReadSpec(args, requests.Get(index));
			spec.serial = ++last_serial_;
			if (!args.failed() &&
			    (under_way_.count(spec.id) != 0 || !fresh.emplace(spec.id, spec.serial).second))
				args.Fail("id " + std::to_string(spec.id) + " is under way");
			specs.push_back(std::move(spec));
		}
		if (args.failed())
			return false;
		if (stopped() || specs.empty())
			return true;
		under_way_.insert(fresh.begin(), fresh.end());
		KeepAlive(env, true);
		Submit(std::move(specs));
		return true;
	}

	void Cancel(Napi::Env env, const std::vector<uint32_t> &ids)
	{
		std::vector<uint64_t> serials;
		for (uint32_t id : ids) {
			auto found = under_way_.find(id);
			if (found == under_way_.end())
				continue;
			serials.push_back(found->second);
			under_way_.erase(found);
		}
		if (under_way_.empty())
			KeepAlive(env, false);
		ProbeLoop::Cancel(std::move(serials));
	}

      private:
	void Deliver(Napi::Env env, Napi::Function callback) override
	{
		Napi::HandleScope scope(env);
		Napi::Array results = Napi::Array::New(env);
		uint32_t count = 0;
		for (ProbeOutcome &outcome : TakeOutcomes()) {
			auto found = under_way_.find(outcome.id);
			if (found == under_way_.end() || found->second != outcome.serial)
				continue;
			under_way_.erase(found);
			Napi::HandleScope each(env);
			results.Set(count++, Result(env, outcome));
		}
		/* Before the callback, which may start the next round. */
		if (under_way_.empty())
			KeepAlive(env, false);
		if (count > 0)
			Call(env, callback, {results});
	}

	static Napi::Object Result(Napi::Env env, ProbeOutcome &outcome)
	{
		Napi::Object result = Napi::Object::New(env);
		result.Set("id", outcome.id);
		result.Set("error", outcome.error == 0 ? env.Null()
						       : Napi::Value(Napi::String::New(env, ErrnoName(outcome.error))));
		result.Set("elapsedUs", outcome.elapsed_us);
		result.Set("data",
			   outcome.data ? MakeBytes(env, outcome.data->data(), outcome.data->size()) : env.Null());
		result.Set("fd", outcome.fd.Release());
		return result;
	}

	uint64_t last_serial_ = 0;
	std::unordered_map<uint32_t, uint64_t> under_way_; /* id to serial */
};

Napi::Function Prober::Define(Napi::Env env)
{
	return DefineClass(env, "Prober",
			   {
				   InstanceMethod("start", &Prober::Start),
				   InstanceMethod("cancel", &Prober::Cancel),
				   InstanceMethod("close", &Prober::Close),
			   });
}

Prober::Prober(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	Args args(env, "Prober");
	Napi::Function callback = args.Function(info[0], "onResults");
	if (args.failed())
		return;
	auto desk = std::make_shared<ProbeDesk>();
	int error = desk->Open();
	if (error) {
		ThrowErrno(env, error, "epoll_create1");
		return;
	}
	if (static_cast<Courier &>(*desk).Start(env, callback, "spillway-probe"))
		desk_ = desk;
}

Prober::~Prober()
{
	if (desk_)
		desk_->Stop();
}

Napi::Value Prober::Start(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "Prober.start");
	if (!desk_) {
		ThrowClosed(env, args.call());
		return {};
	}
	std::shared_ptr<ProbeDesk> desk = desk_; /* getters of the requests may close this */
	Napi::Array requests = args.Array(info[0], "requests");
	if (!args.failed())
		desk->Start(args, env, requests);
	return {};
}

Napi::Value Prober::Cancel(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "Prober.cancel");
	if (!desk_) {
		ThrowClosed(env, args.call());
		return {};
	}
	std::shared_ptr<ProbeDesk> desk = desk_;
	Napi::Array list = args.Array(info[0], "ids");
	std::vector<uint32_t> ids;
	for (uint32_t index = 0; !args.failed() && index < list.Length(); index++)
		ids.push_back(args.Number(list.Get(index), "ids"));
	if (!args.failed())
		desk->Cancel(env, ids);
	return {};
}

Napi::Value Prober::Close(const Napi::CallbackInfo &info)
{
	if (desk_)
		desk_->Stop();
	desk_.reset();
	return {};
}

} // namespace spillway
