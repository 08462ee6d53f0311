/* Reading JS values. TypeScript words the errors of users; here only what would corrupt memory or the kernel's view. */
#pragma once
#include <cstdint>
#include <napi.h>
#include <optional>
#include <string>
#include <vector>

namespace spillway
{

/* Borrowed from a typed array: valid until JS runs again. */
struct Bytes {
	uint8_t *data = nullptr;
	size_t size = 0;
};

/* One call's reader: the first value that does not fit throws ERR_ARG, and the getters after it give defaults. */
class Args
{
      public:
	Args(Napi::Env env, const char *call) : env_(env), call_(call)
	{
	}

	bool failed() const
	{
		return failed_ || env_.IsExceptionPending();
	}
	const char *call() const
	{
		return call_;
	}
	void Fail(const std::string &text);

	std::string Text(Napi::Value value, const char *name);
	uint32_t Number(Napi::Value value, const char *name, uint32_t least = 0, uint32_t most = UINT32_MAX);
	uint32_t Number(Napi::Value value, const char *name, uint32_t least, uint32_t most, uint32_t absent);
	bool Flag(Napi::Value value, const char *name, bool absent);
	Bytes View(Napi::Value value, const char *name);
	/* Of exactly `size` bytes. */
	Bytes View(Napi::Value value, const char *name, size_t size);
	/* A copy, for options objects: their getters may run JS between two reads. null and undefined = absent. */
	std::optional<std::vector<uint8_t>> Copy(Napi::Value value, const char *name);
	Bytes Buffer(Napi::Value value, const char *name);
	Napi::Function Function(Napi::Value value, const char *name);
	Napi::Object Object(Napi::Value value, const char *name);
	Napi::Array Array(Napi::Value value, const char *name);
	/* undefined when the property is absent or its getter threw. */
	Napi::Value Field(Napi::Object object, const char *name);

      private:
	Napi::Env env_;
	const char *call_;
	bool failed_ = false;
};

inline bool IsAbsent(const Napi::Value &value)
{
	return value.IsEmpty() || value.IsUndefined() || value.IsNull();
}

Napi::Value MakeBytes(Napi::Env env, const void *data, size_t size);

} // namespace spillway
