/* The thread of a SyncEngine. The core is one thread's at a time: its own, or JS's for the time of a call. */
#pragma once
#include "courier.h"
#include "sync_core.h"
#include "sync_socket.h"

#include <functional>
#include <mutex>

namespace spillway
{

class SyncCourier : public Courier
{
      public:
	SyncCourier(std::shared_ptr<SyncStore> store, session_log *logs, size_t cpus, SyncCoreSettings settings)
	    : core_(std::move(store), logs, cpus, std::move(settings))
	{
	}
	int Open(const SyncAddresses &addresses, const char *&call)
	{
		return socket_.Open(addresses, call);
	}

	/* JS thread. Stop(), and the sockets are closed: this object may live on for a turn of the event loop. */
	void Close()
	{
		Stop();
		socket_.Close();
	}

	/* JS thread. Waits for what the own thread is at: a millisecond or two. */
	template <typename Use> void With(Use use)
	{
		waiting_.fetch_add(1, std::memory_order_acq_rel);
		std::lock_guard<std::mutex> lock(mutex_);
		waiting_.fetch_sub(1, std::memory_order_acq_rel);
		use(core_);
	}
	/* JS thread. As Core::Control, and sent at once. */
	bool Control(std::vector<uint8_t> body, const SyncEndpoint *to);
	void SetPeers(std::vector<SyncEndpoint> peers);
	uint64_t cpu_ns() const
	{
		return cpu_ns_.load(std::memory_order_relaxed);
	}
	/* errno; 0: the last datagrams were sent. */
	int send_error() const
	{
		return send_error_.load(std::memory_order_relaxed);
	}

      private:
	void Run() override;
	void Deliver(Napi::Env env, Napi::Function callback) override;
	bool Turn();
	void Wait(bool busy);

	SyncCore core_;	    /* by mutex_ */
	SyncSocket socket_; /* by mutex_ once the thread runs; its descriptors change in the thread alone */
	std::mutex mutex_;
	std::atomic<int> waiting_ = 0; /* calls that wait for mutex_: they go first */
	std::atomic<uint64_t> cpu_ns_ = 0;
	std::atomic<int> send_error_ = 0;
	uint64_t reported_ns_ = 0; /* own thread */
	uint64_t renewed_ns_ = 0;  /* own thread */
};

} // namespace spillway
