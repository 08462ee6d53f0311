/* The thread that drives the probes: one epoll set, one heap of deadlines. */
#pragma once
#include "courier.h"
#include "probe.h"

#include <memory>
#include <mutex>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace spillway
{

class ProbeLoop : public Courier
{
      public:
	/* 0 or an errno. */
	int Open();
	/* JS thread. */
	void Submit(std::vector<ProbeSpec> specs);
	void Cancel(std::vector<uint64_t> serials);

      protected:
	std::vector<ProbeOutcome> TakeOutcomes();

      private:
	using Deadline = std::pair<uint64_t, uint64_t>; /* ns, serial */

	void Run() override;
	void TakeOrders();
	void StartSome();
	void Wait(bool block);
	void Expire();
	/* After each step of a probe: takes its outcome, watches a new deadline, drops it when it is finished. */
	void Settle(Probe &probe, uint64_t watched_deadline);

	std::mutex mutex_;
	std::vector<ProbeSpec> submitted_;   /* by mutex_ */
	std::vector<uint64_t> cancelled_;    /* by mutex_ */
	std::vector<ProbeOutcome> outcomes_; /* by mutex_; descriptors in it are closed with it */

	/* Own thread from here on. */
	Fd epoll_;
	std::queue<ProbeSpec> waiting_;	       /* serials ascend */
	std::unordered_set<uint64_t> dropped_; /* cancelled while waiting */
	std::unordered_map<uint64_t, std::unique_ptr<Probe>> probes_;
	std::priority_queue<Deadline, std::vector<Deadline>, std::greater<Deadline>> deadlines_; /* stale ones too */
	std::vector<ProbeOutcome> fresh_;
};

} // namespace spillway
