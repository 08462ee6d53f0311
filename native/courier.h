/* A thread that belongs to one JS object and hands what it finds to one JS callback. */
#pragma once
#include "fd.h"

#include <atomic>
#include <memory>
#include <napi.h>
#include <pthread.h>

namespace spillway
{

/*
 * Owners: the JS wrapper and the ThreadSafeFunction hold a shared_ptr each; the thread holds none, since Stop() joins
 * it. Stop() runs in close(), when the wrapper is collected, and in the ThreadSafeFunction's finalizer, which node
 * calls before the environment goes: without the last, exit and worker.terminate() would free the function under the
 * thread, or wait for it for ever.
 *
 * A courier does not keep the event loop alive unless KeepAlive(true) was called.
 */
class Courier : public std::enable_shared_from_this<Courier>
{
      public:
	virtual ~Courier();
	Courier(const Courier &) = delete;
	Courier &operator=(const Courier &) = delete;

	/* JS thread. Starts the thread; false with an exception pending when that failed. */
	bool Start(Napi::Env env, Napi::Function callback, const char *name);
	/* JS thread. Ends the thread; nothing is delivered afterwards. May be called again. */
	void Stop();
	/* JS thread. */
	bool stopped() const
	{
		return !running_;
	}
	void KeepAlive(Napi::Env env, bool keep);

      protected:
	Courier() = default;
	/* Own thread. Returns soon after wake_fd() became readable and stopping() is true. */
	virtual void Run() = 0;
	/* JS thread. Hands over everything that has gathered, as long as !stopped(). */
	virtual void Deliver(Napi::Env env, Napi::Function callback) = 0;
	/* Own thread. Asks for Deliver(); cheap when it was asked for already. */
	void Notify();
	/* Any thread. Makes wake_fd() readable; the own thread empties it with ClearWake(). */
	void Wake();
	void ClearWake();
	int wake_fd() const
	{
		return wake_.get();
	}
	bool stopping() const
	{
		return stopping_.load(std::memory_order_acquire);
	}
	/* JS thread. Calls back; what the callback throws becomes an uncaughtException. */
	static void Call(Napi::Env env, Napi::Function callback, std::initializer_list<napi_value> values);

      private:
	static void *Main(void *self);
	static void CallJs(napi_env env, napi_value callback, void *self, void *data);
	static void Finalize(napi_env env, void *owner, void *hint);

	napi_threadsafe_function function_ = nullptr; /* written by the JS thread while the own thread is not running */
	pthread_t thread_ = {};
	bool running_ = false;
	Fd wake_;
	std::atomic<bool> stopping_ = false;
	std::atomic<bool> notified_ = false;
	bool closing_ = false; /* own thread: node said that the function goes */
};

} // namespace spillway
