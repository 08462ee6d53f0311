/* State of one JS environment (main thread or worker): nothing in the addon is global but libbpf's print hook. */
#pragma once
#include "error.h"
#include "fd.h"

#include <napi.h>

struct bpf_object;

namespace spillway
{

struct Environment {
	Napi::FunctionReference object;
	Napi::FunctionReference map;
	Napi::FunctionReference program;
	Napi::FunctionReference link;
	/*
	 * What the constructor called next takes over. The classes have no public constructor: `new BpfMap()` from JS
	 * finds nothing here and throws.
	 */
	Fd pending_fd;
	bpf_object *pending_object = nullptr;

	static Environment &Of(Napi::Env env)
	{
		return *env.GetInstanceData<Environment>();
	}
};

/* A new JS object of `constructor` that owns `fd`; empty, with an exception pending, when that fails. */
inline Napi::Value Adopt(Napi::Env env, const Napi::FunctionReference &constructor, Fd fd)
{
	Environment::Of(env).pending_fd = std::move(fd);
	return constructor.New(std::initializer_list<napi_value>{});
}

/*
 * The C++ object behind a JS value given as an argument, or nullptr with ERR_ARG pending. The tag is what makes the
 * cast safe: instanceof can be faked.
 */
template <typename T> T *Expect(Napi::Env env, Napi::Value value, const char *call, const char *name)
{
	if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTag)) {
		ThrowArgument(env, call, std::string(name) + " must be a " + T::kName);
		return nullptr;
	}
	return T::Unwrap(value.As<Napi::Object>());
}

} // namespace spillway
