#include "probe_loop.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <iterator>
#include <sys/epoll.h>

namespace spillway
{

namespace
{

/* Starts between two looks at the sockets: 20 us each, so that a thousand starts don't lengthen what is measured. */
constexpr int kStartsAtOnce = 32;
constexpr uint64_t kWakeSerial = 0;

uint64_t Now()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1'000'000'000ull + now.tv_nsec;
}

} // namespace

int ProbeLoop::Open()
{
	epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
	return epoll_.valid() ? 0 : errno;
}

void ProbeLoop::Submit(std::vector<ProbeSpec> specs)
{
	{
		std::lock_guard<std::mutex> lock(mutex_);
		std::move(specs.begin(), specs.end(), std::back_inserter(submitted_));
	}
	Wake();
}

void ProbeLoop::Cancel(std::vector<uint64_t> serials)
{
	{
		std::lock_guard<std::mutex> lock(mutex_);
		cancelled_.insert(cancelled_.end(), serials.begin(), serials.end());
	}
	Wake();
}

std::vector<ProbeOutcome> ProbeLoop::TakeOutcomes()
{
	std::lock_guard<std::mutex> lock(mutex_);
	return std::exchange(outcomes_, {});
}

void ProbeLoop::Run()
{
	epoll_event wake = {};
	wake.events = EPOLLIN;
	wake.data.u64 = kWakeSerial;
	epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_fd(), &wake);
	while (!stopping()) {
		StartSome();
		if (!fresh_.empty()) {
			std::lock_guard<std::mutex> lock(mutex_);
			std::move(fresh_.begin(), fresh_.end(), std::back_inserter(outcomes_));
			fresh_.clear();
			Notify();
		}
		Wait(waiting_.empty());
		Expire();
	}
	probes_.clear();
}

void ProbeLoop::TakeOrders()
{
	ClearWake();
	std::vector<ProbeSpec> submitted;
	std::vector<uint64_t> cancelled;
	{
		std::lock_guard<std::mutex> lock(mutex_);
		submitted.swap(submitted_);
		cancelled.swap(cancelled_);
	}
	for (ProbeSpec &spec : submitted)
		waiting_.push(std::move(spec));
	for (uint64_t serial : cancelled) {
		if (!waiting_.empty() && serial >= waiting_.front().serial) {
			dropped_.insert(serial);
			continue;
		}
		auto found = probes_.find(serial);
		if (found == probes_.end()) /* over: its outcome finds no taker */
			continue;
		uint64_t watched = found->second->deadline();
		found->second->Cancel(Now());
		Settle(*found->second, watched);
	}
}

void ProbeLoop::StartSome()
{
	for (int started = 0; started < kStartsAtOnce && !waiting_.empty(); started++) {
		auto probe = std::make_unique<Probe>(std::move(waiting_.front()));
		waiting_.pop();
		uint64_t serial = probe->serial();
		if (dropped_.erase(serial) != 0)
			continue;
		probe->Start(Now());
		if (!probe->finished()) {
			/* Edges, so that a probe costs one epoll_ctl; close() takes it out of the set. */
			epoll_event event = {};
			event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
			event.data.u64 = serial;
			epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, probe->fd(), &event);
		}
		Probe &settled = *probe;
		probes_.emplace(serial, std::move(probe));
		Settle(settled, 0);
	}
}

void ProbeLoop::Wait(bool block)
{
	int timeout = block ? -1 : 0;
	if (block && !deadlines_.empty()) {
		uint64_t now = Now(), next = deadlines_.top().first;
		/* Rounded up: waking early would mean waking twice. */
		timeout = next > now ? static_cast<int>(std::min<uint64_t>((next - now + 999'999) / 1'000'000, 60'000))
				     : 0;
	}
	epoll_event events[256];
	int count = epoll_wait(epoll_.get(), events, std::size(events), timeout);
	for (int index = 0; index < count; index++) {
		if (events[index].data.u64 == kWakeSerial) {
			TakeOrders();
			continue;
		}
		auto found = probes_.find(events[index].data.u64);
		if (found == probes_.end())
			continue;
		uint64_t watched = found->second->deadline();
		found->second->OnReady(events[index].events, Now());
		Settle(*found->second, watched);
	}
}

void ProbeLoop::Expire()
{
	uint64_t now = Now();
	while (!deadlines_.empty() && deadlines_.top().first <= now) {
		auto [deadline, serial] = deadlines_.top();
		deadlines_.pop();
		auto found = probes_.find(serial);
		if (found == probes_.end() || found->second->deadline() != deadline)
			continue;
		found->second->OnDeadline(now);
		Settle(*found->second, deadline);
	}
}

void ProbeLoop::Settle(Probe &probe, uint64_t watched_deadline)
{
	std::optional<ProbeOutcome> outcome = probe.TakeOutcome();
	if (outcome) {
		/* A socket that is handed over lives on: closing would not take it out of the set. */
		if (outcome->fd.valid())
			epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, outcome->fd.get(), nullptr);
		fresh_.push_back(std::move(*outcome));
	}
	if (probe.finished())
		probes_.erase(probe.serial());
	else if (probe.deadline() != watched_deadline)
		deadlines_.emplace(probe.deadline(), probe.serial());
}

} // namespace spillway
