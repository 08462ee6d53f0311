#include "system.h"
#include <malloc.h>
#include "args.h"
#include "error.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace spillway
{

namespace
{

bool IsBpffsAt(const std::string &path)
{
	struct statfs found;
	return statfs(path.c_str(), &found) == 0 && static_cast<uint32_t>(found.f_type) == BPF_FS_MAGIC;
}

/*
 * MEMBARRIER_CMD_GLOBAL waits for an RCU grace period (kernel/sched/membarrier.c), and BPF programs run under RCU's
 * lock. 10 to 20 ms: on a thread of the pool.
 */
class BarrierWorker : public Napi::AsyncWorker
{
      public:
	BarrierWorker(Napi::Env env, napi_deferred deferred) : AsyncWorker(env, "spillway-barrier"), deferred_(deferred)
	{
	}

	void Execute() override
	{
		ended_ = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
	}

	void OnOK() override
	{
		napi_resolve_deferred(Env(), deferred_, Napi::Boolean::New(Env(), ended_));
	}

      private:
	napi_deferred deferred_;
	bool ended_ = false;
};

} // namespace

Napi::Value AwaitPrograms(const Napi::CallbackInfo &info)
{
	napi_deferred deferred;
	napi_value promise;
	if (napi_create_promise(info.Env(), &deferred, &promise) != napi_ok)
		return {};
	(new BarrierWorker(info.Env(), deferred))->Queue();
	return {info.Env(), promise};
}

Napi::Value ReleaseFreeMemory(const Napi::CallbackInfo &)
{
	malloc_trim(0);
	return {};
}

Napi::Value KernelHz(const Napi::CallbackInfo &info)
{
	/* The coarse clock advances once a jiffy: its resolution tells CONFIG_HZ without reading the kernel's config.
	 */
	timespec resolution = {};
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0 || resolution.tv_nsec <= 0) {
		ThrowErrno(info.Env(), errno, "clock_getres");
		return {};
	}
	return Napi::Number::New(info.Env(), std::round(1e9 / resolution.tv_nsec));
}

Napi::Value PossibleCpus(const Napi::CallbackInfo &info)
{
	CallLog log;
	int count = libbpf_num_possible_cpus();
	if (count < 0) {
		ThrowErrno(info.Env(), count, "libbpf_num_possible_cpus", &log);
		return {};
	}
	return Napi::Number::New(info.Env(), count);
}

Napi::Value InterfaceIndex(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "interfaceIndex");
	std::string name = args.Text(info[0], "name");
	if (args.failed())
		return {};
	unsigned index = if_nametoindex(name.c_str());
	return index != 0 ? Napi::Value(Napi::Number::New(env, index)) : env.Null();
}

Napi::Value InterfaceName(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "interfaceName");
	uint32_t index = args.Number(info[0], "index");
	if (args.failed())
		return {};
	char name[IF_NAMESIZE] = "";
	bool found = if_indextoname(index, name) != nullptr;
	return found ? Napi::Value(Napi::String::New(env, name)) : env.Null();
}

Napi::Value IsBpffs(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "isBpffs");
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	return Napi::Boolean::New(info.Env(), IsBpffsAt(path));
}

Napi::Value MountBpffs(const Napi::CallbackInfo &info)
{
	Args args(info.Env(), "mountBpffs");
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	/* The kernel would stack a second bpffs on top and hide every pin of the first. */
	int error = IsBpffsAt(path) ? EBUSY : 0;
	if (error == 0 && mount("bpf", path.c_str(), "bpf", 0, "mode=0700") != 0)
		error = errno;
	if (error)
		ThrowErrno(info.Env(), error, "mount", nullptr, path);
	return {};
}

std::string LibbpfVersion()
{
	return std::to_string(libbpf_major_version()) + "." + std::to_string(libbpf_minor_version());
}

} // namespace spillway
