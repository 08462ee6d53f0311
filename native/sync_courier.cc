#include "sync_courier.h"
#include "sync_args.h"

#include <ctime>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>

namespace spillway
{

namespace
{

constexpr int kBusyMs = 1, kIdleMs = 5;
/* The log has room for a tenth of a second of connections: agents that compile or compete have to let this one by. */
constexpr int kNice = -10;
constexpr uint64_t kRenewNs = 2'000'000'000; /* an interface that was made anew is noticed */
constexpr uint64_t kReportNs = 100'000'000;  /* losses are told in sums, messages at once */

uint64_t ThreadCpuNs()
{
	timespec used = {};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

} // namespace

bool SyncCourier::Control(std::vector<uint8_t> body, const SyncEndpoint *to)
{
	bool taken = false;
	With([&](SyncCore &core) { taken = core.Control(std::move(body), to); });
	Wake();
	return taken;
}

void SyncCourier::SetPeers(std::vector<SyncEndpoint> peers)
{
	With([&](SyncCore &) { socket_.SetPeers(std::move(peers)); });
}

void SyncCourier::Run()
{
	setpriority(PRIO_PROCESS, 0, kNice); /* of this thread; without the right to, it goes on as it is */
	while (!stopping()) {
		bool busy = Turn();
		cpu_ns_.store(ThreadCpuNs(), std::memory_order_relaxed);
		Wait(busy);
	}
	Turn(); /* what was said last: a goodbye */
}

/* True while there is work: then the log is looked at again soon, and what comes in is taken in batches. */
bool SyncCourier::Turn()
{
	while (waiting_.load(std::memory_order_acquire) > 0)
		sched_yield();
	std::lock_guard<std::mutex> lock(mutex_);
	uint64_t now = MonotonicNs();
	if (now - renewed_ns_ >= kRenewNs) {
		renewed_ns_ = now;
		socket_.Renew();
	}
	size_t received = socket_.Receive([&](const uint8_t *data, size_t size, const SyncEndpoint &from) {
		core_.Receive(data, size, from, now);
	});
	SyncSocket::Sent sent = socket_.Send(core_.Poll(MonotonicNs()));
	core_.CountSent(sent.datagrams, sent.bytes, sent.errors);
	if (sent.errors > 0)
		send_error_.store(sent.last_error, std::memory_order_relaxed);
	else if (sent.datagrams > 0)
		send_error_.store(0, std::memory_order_relaxed);
	if (core_.HasMessages() || (core_.HasLosses() && now - reported_ns_ >= kReportNs)) {
		reported_ns_ = now;
		Notify();
	}
	return received > 0 || core_.busy();
}

void SyncCourier::Wait(bool busy)
{
	pollfd waits[] = {{wake_fd(), POLLIN, 0}, {socket_.own_fd(), POLLIN, 0}, {socket_.group_fd(), POLLIN, 0}};
	if (poll(waits, busy ? 1 : 3, busy ? kBusyMs : kIdleMs) > 0 && waits[0].revents != 0)
		ClearWake();
}

void SyncCourier::Deliver(Napi::Env env, Napi::Function callback)
{
	Napi::HandleScope scope(env);
	SyncEventBatch events;
	With([&](SyncCore &core) { events = core.TakeEvents(); });
	if (!events.empty())
		Call(env, callback, {MakeEvents(env, events)});
}

} // namespace spillway
