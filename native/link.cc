#include "link.h"
#include "args.h"
#include "error.h"
#include "program.h"

#include <bpf/bpf.h>
#include <cerrno>

namespace spillway
{

Napi::Function BpfLink::Define(Napi::Env env)
{
	return DefineClass(env, "BpfLink",
			   {
				   StaticMethod("openPinned", &BpfLink::OpenPinned),
				   InstanceAccessor("info", &BpfLink::Info, nullptr),
				   InstanceMethod("update", &BpfLink::Update),
				   InstanceMethod("pin", &BpfLink::Pin),
				   InstanceMethod("detach", &BpfLink::Detach),
				   InstanceMethod("close", &BpfLink::Close),
			   });
}

BpfLink::BpfLink(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	fd_ = std::move(Environment::Of(info.Env()).pending_fd);
	if (!fd_.valid())
		ThrowArgument(info.Env(), "BpfLink", "use BpfProgram.attachXdp or BpfLink.openPinned");
}

bool BpfLink::Open(Napi::Env env, const char *call)
{
	if (!fd_.valid())
		ThrowClosed(env, call);
	return fd_.valid();
}

Napi::Value BpfLink::OpenPinned(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfLink.openPinned");
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	Fd fd = OpenPin(path.c_str(), PinKind::kLink);
	if (!fd.valid()) {
		ThrowErrno(env, errno, "bpf_obj_get", nullptr, path);
		return {};
	}
	return Adopt(env, Environment::Of(env).link, std::move(fd));
}

Napi::Value BpfLink::Info(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!Open(env, "BpfLink.info"))
		return {};
	bpf_link_info link = {};
	uint32_t length = sizeof(link);
	int error = bpf_obj_get_info_by_fd(fd_.get(), &link, &length);
	if (error) {
		ThrowErrno(env, error, "bpf_obj_get_info_by_fd");
		return {};
	}
	Napi::Object result = Napi::Object::New(env);
	result.Set("id", link.id);
	result.Set("programId", link.prog_id);
	result.Set("ifindex", link.type == BPF_LINK_TYPE_XDP ? link.xdp.ifindex : 0);
	return result;
}

Napi::Value BpfLink::Update(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	const char *call = "BpfLink.update";
	if (!Open(env, call))
		return {};
	BpfProgram *program = Expect<BpfProgram>(env, info[0], call, "program");
	if (program == nullptr || program->Open(env, call) < 0)
		return {};
	CallLog log;
	int error = bpf_link_update(fd_.get(), program->Open(env, call), nullptr);
	if (error)
		ThrowErrno(env, error, "bpf_link_update", &log);
	return {};
}

Napi::Value BpfLink::Pin(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfLink.pin");
	if (!Open(env, args.call()))
		return {};
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	int error = bpf_obj_pin(fd_.get(), path.c_str());
	if (error)
		ThrowErrno(env, error, "bpf_obj_pin", nullptr, path);
	return {};
}

Napi::Value BpfLink::Detach(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!Open(env, "BpfLink.detach"))
		return {};
	int error = bpf_link_detach(fd_.get());
	if (error)
		ThrowErrno(env, error, "bpf_link_detach");
	return {};
}

Napi::Value BpfLink::Close(const Napi::CallbackInfo &info)
{
	fd_.Close();
	return {};
}

} // namespace spillway
