/* Errors as addon.d.ts promises them: {code, errno, syscall, log}. */
#pragma once
#include <napi.h>
#include <string>

namespace spillway
{

/*
 * What libbpf prints on this thread while the object lives. libbpf_set_print is process-global and worker threads
 * share it, hence a log for each thread; logs nest.
 */
class CallLog
{
      public:
	CallLog();
	~CallLog();
	CallLog(const CallLog &) = delete;
	CallLog &operator=(const CallLog &) = delete;
	const std::string &text() const
	{
		return text_;
	}
	void Append(const char *bytes, size_t length);
	/* Forgets a failure that was expected. */
	void Clear()
	{
		text_.clear();
	}

      private:
	std::string text_;
	CallLog *outer_;
};

/* Once per process: routes libbpf's prints to the CallLog of the calling thread. */
void InstallPrint();

/* "EPERM"; "LIBBPF_<n>" from 4000 on. `error` may be negative. */
std::string ErrnoName(int error);

/*
 * Throws in JS, unless an exception is pending already. `error` may be negative.
 * Callers return at once: C++ exceptions are off, the JS exception waits for the return.
 */
void ThrowErrno(Napi::Env env, int error, const char *syscall, const CallLog *log = nullptr,
		const std::string &detail = {});
void ThrowClosed(Napi::Env env, const char *call);
void ThrowArgument(Napi::Env env, const char *call, const std::string &text);

} // namespace spillway
