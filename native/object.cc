#include "object.h"
#include "args.h"
#include "environment.h"
#include "error.h"
#include "open.h"

#include <bpf/libbpf.h>
#include <cerrno>

namespace spillway
{

namespace
{

/* Calls visit(key, value) for each own property of an options record; nothing when it is absent. */
template <typename Visit> void ForEach(Args &args, Napi::Value record, const char *name, Visit visit)
{
	if (args.failed() || IsAbsent(record))
		return;
	Napi::Object object = args.Object(record, name);
	if (args.failed())
		return;
	Napi::Array keys = object.GetPropertyNames();
	for (uint32_t index = 0; !args.failed() && index < keys.Length(); index++) {
		std::string key = args.Text(keys.Get(index), name);
		if (!args.failed())
			visit(key, args.Field(object, key.c_str()));
	}
}

LoadOptions ReadOptions(Args &args, Napi::Value value)
{
	LoadOptions options;
	if (args.failed() || IsAbsent(value))
		return options;
	Napi::Object object = args.Object(value, "options");
	ForEach(args, args.Field(object, "rodata"), "rodata", [&](const std::string &name, Napi::Value bytes) {
		Bytes view = args.View(bytes, name.c_str());
		options.rodata[name] = {view.data, view.data + view.size};
	});
	ForEach(args, args.Field(object, "maxEntries"), "maxEntries", [&](const std::string &name, Napi::Value count) {
		options.max_entries[name] = args.Number(count, name.c_str(), 1);
	});
	ForEach(args, args.Field(object, "reuse"), "reuse", [&](const std::string &name, Napi::Value path) {
		options.reuse[name] = args.Text(path, name.c_str());
	});
	options.frags = args.Flag(args.Field(object, "frags"), "frags", false);
	Napi::Value programs = args.Field(object, "programs");
	if (args.failed() || IsAbsent(programs))
		return options;
	Napi::Array names = args.Array(programs, "programs");
	options.programs.emplace();
	for (uint32_t index = 0; !args.failed() && index < names.Length(); index++)
		options.programs->push_back(args.Text(names.Get(index), "programs"));
	return options;
}

} // namespace

Napi::Function BpfObject::Define(Napi::Env env)
{
	return DefineClass(env, "BpfObject",
			   {
				   StaticMethod("load", &BpfObject::Load),
				   InstanceMethod("map", &BpfObject::Map),
				   InstanceMethod("program", &BpfObject::Program),
				   InstanceAccessor("mapNames", &BpfObject::MapNames, nullptr),
				   InstanceAccessor("programNames", &BpfObject::ProgramNames, nullptr),
				   InstanceMethod("close", &BpfObject::Close),
			   });
}

BpfObject::BpfObject(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	object_ = std::exchange(Environment::Of(info.Env()).pending_object, nullptr);
	if (object_ == nullptr)
		ThrowArgument(info.Env(), "BpfObject", "use BpfObject.load");
}

BpfObject::~BpfObject()
{
	bpf_object__close(object_);
}

bool BpfObject::Open(Napi::Env env, const char *call)
{
	if (object_ == nullptr)
		ThrowClosed(env, call);
	return object_ != nullptr;
}

Napi::Value BpfObject::Load(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfObject.load");
	std::string path = args.Text(info[0], "path");
	LoadOptions options = ReadOptions(args, info[1]);
	if (args.failed())
		return {};
	CallLog log;
	Failure failure;
	bpf_object *object = OpenAndLoad(path, options, failure);
	if (object == nullptr) {
		ThrowErrno(env, failure.error, failure.syscall, &log, failure.detail);
		return {};
	}
	Environment::Of(env).pending_object = object;
	return Environment::Of(env).object.New(std::initializer_list<napi_value>{});
}

Napi::Value BpfObject::Map(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfObject.map");
	std::string name = args.Text(info[0], "name");
	if (args.failed() || !Open(env, args.call()))
		return {};
	bpf_map *map = bpf_object__find_map_by_name(object_, name.c_str());
	if (map == nullptr) {
		ThrowErrno(env, ENOENT, args.call(), nullptr, "no map named " + name);
		return {};
	}
	Fd fd = Fd::Duplicate(bpf_map__fd(map));
	if (!fd.valid()) {
		ThrowErrno(env, errno, "fcntl", nullptr, name);
		return {};
	}
	return Adopt(env, Environment::Of(env).map, std::move(fd));
}

Napi::Value BpfObject::Program(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfObject.program");
	std::string name = args.Text(info[0], "name");
	if (args.failed() || !Open(env, args.call()))
		return {};
	bpf_program *program = bpf_object__find_program_by_name(object_, name.c_str());
	if (program == nullptr || bpf_program__fd(program) < 0) {
		ThrowErrno(env, ENOENT, args.call(), nullptr,
			   (program == nullptr ? "no program named " : "not loaded: ") + name);
		return {};
	}
	Fd fd = Fd::Duplicate(bpf_program__fd(program));
	if (!fd.valid()) {
		ThrowErrno(env, errno, "fcntl", nullptr, name);
		return {};
	}
	return Adopt(env, Environment::Of(env).program, std::move(fd));
}

Napi::Value BpfObject::MapNames(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!Open(env, "BpfObject.mapNames"))
		return {};
	Napi::Array names = Napi::Array::New(env);
	bpf_map *map;
	uint32_t count = 0;
	bpf_object__for_each_map(map, object_)
	{
		if (!bpf_map__is_internal(map)) /* .rodata, .bss: the program's own */
			names.Set(count++, bpf_map__name(map));
	}
	return names;
}

Napi::Value BpfObject::ProgramNames(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (!Open(env, "BpfObject.programNames"))
		return {};
	Napi::Array names = Napi::Array::New(env);
	bpf_program *program;
	uint32_t count = 0;
	bpf_object__for_each_program(program, object_)
	{
		if (bpf_program__fd(program) >= 0)
			names.Set(count++, bpf_program__name(program));
	}
	return names;
}

Napi::Value BpfObject::Close(const Napi::CallbackInfo &info)
{
	bpf_object__close(std::exchange(object_, nullptr));
	return {};
}

} // namespace spillway
