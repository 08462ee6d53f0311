#include "tc.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <linux/if_link.h>
#include <net/if.h>

namespace spillway
{

namespace
{

bpf_tc_hook Hook(const TcFilter &filter)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);
	hook.ifindex = filter.ifindex;
	hook.attach_point = filter.egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
	return hook;
}

bpf_tc_opts Options(const TcFilter &filter)
{
	LIBBPF_OPTS(bpf_tc_opts, options);
	options.handle = filter.handle;
	options.priority = filter.priority;
	return options;
}

/*
 * 0 with `program` = 0 when there is no such filter. A device without clsact answers EINVAL, which is "not there"
 * as well; a device that does not exist is the caller's mistake.
 */
int Query(const TcFilter &filter, uint32_t &program)
{
	program = 0;
	char name[IF_NAMESIZE];
	if (if_indextoname(filter.ifindex, name) == nullptr)
		return -ENODEV;
	bpf_tc_hook hook = Hook(filter);
	bpf_tc_opts options = Options(filter);
	int error = bpf_tc_query(&hook, &options);
	if (error == -ENOENT || error == -EINVAL)
		return 0;
	program = options.prog_id;
	return error;
}

} // namespace

TcFilter ReadFilter(Args &args, const Napi::CallbackInfo &info)
{
	TcFilter filter;
	filter.ifindex = static_cast<int>(args.Number(info[0], "ifindex", 1, INT32_MAX));
	std::string where = args.Text(info[1], "where");
	filter.handle = args.Number(info[2], "handle", 1);
	filter.priority = args.Number(info[3], "priority", 1, UINT16_MAX);
	if (!args.failed() && where != "ingress" && where != "egress")
		args.Fail("where must be ingress or egress");
	filter.egress = where == "egress";
	return filter;
}

int AttachFilter(const TcFilter &filter, int program_fd, CallLog &log, const char **syscall)
{
	bpf_tc_hook hook = Hook(filter);
	*syscall = "bpf_tc_hook_create";
	int error = bpf_tc_hook_create(&hook);
	if (error && error != -EEXIST)
		return error;
	log.Clear();
	bpf_tc_opts options = Options(filter);
	options.prog_fd = program_fd;
	options.flags = BPF_TC_F_REPLACE;
	*syscall = "bpf_tc_attach";
	return bpf_tc_attach(&hook, &options);
}

Napi::Value DetachTc(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "detachTc");
	TcFilter filter = ReadFilter(args, info);
	if (args.failed())
		return {};
	CallLog log;
	uint32_t program;
	int error = Query(filter, program);
	if (error == 0 && program != 0) {
		bpf_tc_hook hook = Hook(filter);
		bpf_tc_opts options = Options(filter);
		error = bpf_tc_detach(&hook, &options);
	}
	if (error && error != -ENOENT) {
		ThrowErrno(env, error, "bpf_tc_detach", &log);
		return {};
	}
	return Napi::Boolean::New(env, error == 0 && program != 0);
}

Napi::Value QueryTc(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "queryTc");
	TcFilter filter = ReadFilter(args, info);
	if (args.failed())
		return {};
	CallLog log;
	uint32_t program;
	int error = Query(filter, program);
	if (error) {
		ThrowErrno(env, error, "bpf_tc_query", &log);
		return {};
	}
	return program != 0 ? Napi::Value(Napi::Number::New(env, program)) : env.Null();
}

Napi::Value QueryXdp(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "queryXdp");
	uint32_t ifindex = args.Number(info[0], "ifindex", 1, INT32_MAX);
	if (args.failed())
		return {};
	CallLog log;
	LIBBPF_OPTS(bpf_xdp_query_opts, found);
	int error = bpf_xdp_query(static_cast<int>(ifindex), 0, &found);
	if (error) {
		ThrowErrno(env, error, "bpf_xdp_query", &log);
		return {};
	}
	/* Several may be attached at once: the one nearest to the wire sees the packet first. */
	const char *mode = nullptr;
	uint32_t program = 0;
	if (found.hw_prog_id != 0)
		mode = "offload", program = found.hw_prog_id;
	else if (found.drv_prog_id != 0)
		mode = "native", program = found.drv_prog_id;
	else if (found.skb_prog_id != 0)
		mode = "generic", program = found.skb_prog_id;
	if (mode == nullptr)
		return env.Null();
	Napi::Object result = Napi::Object::New(env);
	result.Set("mode", mode);
	result.Set("programId", program);
	return result;
}

} // namespace spillway
