#include "error.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace spillway
{

namespace
{

/* A verifier log can take 16 MB; its end names the refusal. */
constexpr size_t kMaxLog = 1 << 20;
constexpr int kKernelNotSupported = 524; /* ENOTSUPP: the kernel's own, without a name in libc */

thread_local CallLog *current = nullptr;

int Print(enum libbpf_print_level level, const char *format, va_list values)
{
	if (level == LIBBPF_DEBUG || current == nullptr)
		return 0;
	char *text = nullptr;
	int length = vasprintf(&text, format, values);
	if (length < 0)
		return 0;
	current->Append(text, static_cast<size_t>(length));
	free(text);
	return length;
}

void Throw(Napi::Env env, const std::string &code, int error, const char *syscall, const std::string &message,
	   const CallLog *log)
{
	if (env.IsExceptionPending())
		return;
	Napi::Error thrown = Napi::Error::New(env, message);
	Napi::Object fields = thrown.Value();
	fields.Set("code", code);
	fields.Set("errno", error);
	fields.Set("syscall", syscall);
	if (log != nullptr && !log->text().empty())
		fields.Set("log", log->text());
	else
		fields.Set("log", env.Null());
	thrown.ThrowAsJavaScriptException();
}

} // namespace

CallLog::CallLog() : outer_(current)
{
	current = this;
}

CallLog::~CallLog()
{
	current = outer_;
}

void CallLog::Append(const char *bytes, size_t length)
{
	text_.append(bytes, length);
	if (text_.size() > kMaxLog)
		text_.erase(0, text_.size() - kMaxLog);
}

void InstallPrint()
{
	static std::once_flag once;
	std::call_once(once, [] { libbpf_set_print(Print); });
}

std::string ErrnoName(int error)
{
	error = abs(error);
	if (error == kKernelNotSupported)
		return "ENOTSUPP";
	if (error >= 4000)
		return "LIBBPF_" + std::to_string(error);
	const char *name = strerrorname_np(error);
	return name != nullptr ? name : "E" + std::to_string(error);
}

void ThrowErrno(Napi::Env env, int error, const char *syscall, const CallLog *log, const std::string &detail)
{
	error = abs(error);
	std::string code = ErrnoName(error);
	char text[256] = "";
	libbpf_strerror(error, text, sizeof(text));
	std::string message = std::string(syscall) + ": " + text + " (" + code + ")";
	if (!detail.empty())
		message += ": " + detail;
	Throw(env, code, error, syscall, message, log);
}

void ThrowClosed(Napi::Env env, const char *call)
{
	Throw(env, "ERR_CLOSED", EBADF, call, std::string(call) + ": the handle is closed", nullptr);
}

void ThrowArgument(Napi::Env env, const char *call, const std::string &text)
{
	Throw(env, "ERR_ARG", EINVAL, call, std::string(call) + ": " + text, nullptr);
}

} // namespace spillway
