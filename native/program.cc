#include "program.h"
#include "args.h"
#include "error.h"
#include "tc.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstdio>
#include <linux/if_link.h>
#include <vector>

namespace spillway
{

Napi::Function BpfProgram::Define(Napi::Env env)
{
	return DefineClass(env, "BpfProgram",
			   {
				   StaticMethod("openPinned", &BpfProgram::OpenPinned),
				   InstanceAccessor("info", &BpfProgram::Info, nullptr),
				   InstanceMethod("pin", &BpfProgram::Pin),
				   InstanceMethod("testRun", &BpfProgram::TestRun),
				   InstanceMethod("inject", &BpfProgram::Inject),
				   InstanceMethod("attachXdp", &BpfProgram::AttachXdp),
				   InstanceMethod("attachTc", &BpfProgram::AttachTc),
				   InstanceMethod("close", &BpfProgram::Close),
			   });
}

BpfProgram::BpfProgram(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	info.This().As<Napi::Object>().TypeTag(&kTag);
	fd_ = std::move(Environment::Of(info.Env()).pending_fd);
	if (!fd_.valid())
		ThrowArgument(info.Env(), "BpfProgram", "use BpfObject.program or BpfProgram.openPinned");
}

int BpfProgram::Open(Napi::Env env, const char *call)
{
	if (!fd_.valid())
		ThrowClosed(env, call);
	return fd_.get();
}

Napi::Value BpfProgram::OpenPinned(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.openPinned");
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	Fd fd = OpenPin(path.c_str(), PinKind::kProgram);
	if (!fd.valid()) {
		ThrowErrno(env, errno, "bpf_obj_get", nullptr, path);
		return {};
	}
	return Adopt(env, Environment::Of(env).program, std::move(fd));
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (Open(env, "BpfProgram.info") < 0)
		return {};
	bpf_prog_info program = {};
	uint32_t length = sizeof(program);
	int error = bpf_obj_get_info_by_fd(fd_.get(), &program, &length);
	if (error) {
		ThrowErrno(env, error, "bpf_obj_get_info_by_fd");
		return {};
	}
	char tag[2 * BPF_TAG_SIZE + 1] = "";
	for (int index = 0; index < BPF_TAG_SIZE; index++)
		snprintf(tag + 2 * index, 3, "%02x", program.tag[index]);
	Napi::Object result = Napi::Object::New(env);
	result.Set("id", program.id);
	result.Set("type", program.type);
	result.Set("name", program.name);
	result.Set("tag", tag);
	result.Set("verifiedInstructions", program.verified_insns);
	result.Set("jitedBytes", program.jited_prog_len);
	result.Set("runCount", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_cnt)));
	result.Set("runTimeNs", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_time_ns)));
	return result;
}

Napi::Value BpfProgram::Pin(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.pin");
	if (Open(env, args.call()) < 0)
		return {};
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	int error = bpf_obj_pin(fd_.get(), path.c_str());
	if (error)
		ThrowErrno(env, error, "bpf_obj_pin", nullptr, path);
	return {};
}

Napi::Value BpfProgram::TestRun(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.testRun");
	if (Open(env, args.call()) < 0)
		return {};
	Napi::Object options = args.Object(info[0], "options");
	std::optional<std::vector<uint8_t>> data = args.Copy(args.Field(options, "data"), "data");
	std::optional<std::vector<uint8_t>> context = args.Copy(args.Field(options, "ctx"), "ctx");
	uint32_t repeat = args.Number(args.Field(options, "repeat"), "repeat", 1, INT32_MAX, 1);
	uint32_t room =
		args.Number(args.Field(options, "outBytes"), "outBytes", 0, 1 << 24, data ? data->size() + 256 : 0);
	if (args.failed())
		return {};
	std::vector<uint8_t> out(room);
	LIBBPF_OPTS(bpf_test_run_opts, run);
	if (data) {
		run.data_in = data->data();
		run.data_size_in = data->size();
		run.data_out = out.data();
		run.data_size_out = out.size();
	}
	if (context) {
		run.ctx_in = context->data();
		run.ctx_size_in = context->size();
		/* A program without a frame (SEC("syscall")) gets its context back in place, and refuses ctx_out. */
		if (data) {
			run.ctx_out = context->data();
			run.ctx_size_out = context->size();
		}
	}
	/* repeat 0 and 1 are the same to the kernel, but programs without a frame refuse the field. */
	run.repeat = repeat > 1 ? static_cast<int>(repeat) : 0;
	int error = bpf_prog_test_run_opts(fd_.get(), &run);
	if (error) {
		ThrowErrno(env, error, "bpf_prog_test_run");
		return {};
	}
	Napi::Object result = Napi::Object::New(env);
	result.Set("retval", run.retval);
	result.Set("data", MakeBytes(env, out.data(), data ? run.data_size_out : 0));
	if (context)
		result.Set("ctx", MakeBytes(env, context->data(), context->size()));
	else
		result.Set("ctx", env.Null());
	result.Set("durationNs", run.duration);
	return result;
}

Napi::Value BpfProgram::Inject(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.inject");
	if (Open(env, args.call()) < 0)
		return {};
	std::optional<std::vector<uint8_t>> frame = args.Copy(info[0], "frame");
	Napi::Object from = args.Object(info[1], "from");
	xdp_md context = {};
	context.ingress_ifindex = args.Number(args.Field(from, "ifindex"), "ifindex");
	context.rx_queue_index = args.Number(args.Field(from, "queue"), "queue");
	if (!args.failed() && !frame)
		args.Fail("frame: bytes are expected");
	if (args.failed())
		return {};
	context.data_end = frame->size();
	LIBBPF_OPTS(bpf_test_run_opts, run);
	run.data_in = frame->data();
	run.data_size_in = frame->size();
	run.ctx_in = &context;
	run.ctx_size_in = sizeof(context);
	run.repeat = 1;
	run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	int error = bpf_prog_test_run_opts(fd_.get(), &run);
	if (error)
		ThrowErrno(env, error, "bpf_prog_test_run");
	return {};
}

Napi::Value BpfProgram::AttachXdp(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.attachXdp");
	if (Open(env, args.call()) < 0)
		return {};
	uint32_t ifindex = args.Number(info[0], "ifindex", 1, INT32_MAX);
	std::string mode = args.Text(info[1], "mode");
	if (!args.failed() && mode != "native" && mode != "generic")
		args.Fail("mode must be native or generic");
	if (args.failed())
		return {};
	CallLog log;
	LIBBPF_OPTS(bpf_link_create_opts, options);
	options.flags = mode == "native" ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	Fd link(bpf_link_create(fd_.get(), ifindex, BPF_XDP, &options));
	if (!link.valid()) {
		ThrowErrno(env, errno, "bpf_link_create", &log, mode + " XDP on interface " + std::to_string(ifindex));
		return {};
	}
	return Adopt(env, Environment::Of(env).link, std::move(link));
}

Napi::Value BpfProgram::AttachTc(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfProgram.attachTc");
	if (Open(env, args.call()) < 0)
		return {};
	TcFilter filter = ReadFilter(args, info);
	if (args.failed())
		return {};
	CallLog log;
	const char *syscall = "";
	int error = AttachFilter(filter, fd_.get(), log, &syscall);
	if (error)
		ThrowErrno(env, error, syscall, &log);
	return {};
}

Napi::Value BpfProgram::Close(const Napi::CallbackInfo &info)
{
	fd_.Close();
	return {};
}

Napi::Value ProgramMaps(const Napi::CallbackInfo &info)
{
	constexpr uint32_t kMost = 1024;
	Napi::Env env = info.Env();
	Args args(env, "programMaps");
	uint32_t id = args.Number(info[0], "id", 1);
	if (args.failed())
		return {};
	Fd fd(bpf_prog_get_fd_by_id(id));
	if (!fd.valid()) {
		if (errno == ENOENT)
			return env.Null();
		ThrowErrno(env, errno, "bpf_prog_get_fd_by_id");
		return {};
	}
	std::vector<uint32_t> ids(kMost);
	bpf_prog_info program = {};
	uint32_t length = sizeof(program);
	program.nr_map_ids = kMost;
	program.map_ids = reinterpret_cast<uintptr_t>(ids.data());
	int error = bpf_obj_get_info_by_fd(fd.get(), &program, &length);
	if (error) {
		ThrowErrno(env, error, "bpf_obj_get_info_by_fd");
		return {};
	}
	uint32_t count = std::min(program.nr_map_ids, kMost);
	Napi::Array result = Napi::Array::New(env, count);
	for (uint32_t index = 0; index < count; index++)
		result.Set(index, ids[index]);
	return result;
}

} // namespace spillway
