#include "courier.h"
#include "error.h"

#include <cerrno>
#include <csignal>
#include <sys/eventfd.h>
#include <unistd.h>

namespace spillway
{

Courier::~Courier() = default; /* never running: the function's finalizer stopped it, and holds an owner until then */

bool Courier::Start(Napi::Env env, Napi::Function callback, const char *name)
{
	wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!wake_.valid()) {
		ThrowErrno(env, errno, "eventfd");
		return false;
	}
	auto *owner = new std::shared_ptr<Courier>(shared_from_this());
	napi_status status =
		napi_create_threadsafe_function(env, callback, nullptr, Napi::String::New(env, name), 0, 1, owner,
						Courier::Finalize, this, Courier::CallJs, &function_);
	if (status != napi_ok) {
		delete owner;
		ThrowErrno(env, ENOMEM, "napi_create_threadsafe_function");
		return false;
	}
	napi_unref_threadsafe_function(env, function_);

	/* Signals are node's: none may land on this thread. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread_, nullptr, Courier::Main, this);
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	running_ = error == 0;
	if (running_) {
		pthread_setname_np(thread_, name);
		return true;
	}
	Stop();
	ThrowErrno(env, error, "pthread_create");
	return false;
}

void Courier::Stop()
{
	if (running_) {
		stopping_.store(true, std::memory_order_release);
		Wake();
		pthread_join(thread_, nullptr);
		running_ = false;
	}
	if (function_ != nullptr)
		napi_release_threadsafe_function(std::exchange(function_, nullptr), napi_tsfn_abort);
}

void Courier::KeepAlive(Napi::Env env, bool keep)
{
	if (function_ == nullptr)
		return;
	if (keep)
		napi_ref_threadsafe_function(env, function_);
	else
		napi_unref_threadsafe_function(env, function_);
}

void *Courier::Main(void *self)
{
	static_cast<Courier *>(self)->Run();
	return nullptr;
}

void Courier::Notify()
{
	if (closing_ || notified_.exchange(true, std::memory_order_acq_rel))
		return;
	if (napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_closing)
		closing_ = true;
}

void Courier::CallJs(napi_env env, napi_value callback, void *self, void *)
{
	/* Without an environment the queue is being emptied, after Finalize: the courier may be gone. */
	if (env == nullptr)
		return;
	Courier *courier = static_cast<Courier *>(self);
	courier->notified_.store(false, std::memory_order_release);
	if (courier->stopped())
		return;
	courier->Deliver(env, Napi::Function(env, callback));
}

void Courier::Finalize(napi_env, void *owner, void *)
{
	auto *courier = static_cast<std::shared_ptr<Courier> *>(owner);
	/* The function frees itself after this: it must not be released as well. The thread may use it until joined. */
	if ((*courier)->running_) {
		(*courier)->stopping_.store(true, std::memory_order_release);
		(*courier)->Wake();
		pthread_join((*courier)->thread_, nullptr);
		(*courier)->running_ = false;
	}
	(*courier)->function_ = nullptr;
	delete courier;
}

void Courier::Wake()
{
	uint64_t one = 1;
	(void)!write(wake_.get(), &one, sizeof(one));
}

void Courier::ClearWake()
{
	uint64_t count;
	(void)!read(wake_.get(), &count, sizeof(count));
}

void Courier::Call(Napi::Env env, Napi::Function callback, std::initializer_list<napi_value> values)
{
	napi_value ignored;
	napi_call_function(env, env.Undefined(), callback, values.size(), values.begin(), &ignored);
	bool pending = false;
	napi_is_exception_pending(env, &pending);
	if (!pending)
		return;
	/* node would only warn (DEP0168) and go on. */
	napi_value error;
	if (napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
}

} // namespace spillway
