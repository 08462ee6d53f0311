/* One probe: a socket and what it waits for. No thread and no JS here. */
#pragma once
#include "fd.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace spillway
{

struct ProbeSpec {
	uint64_t serial = 0; /* ours, never reused; ids may be */
	uint32_t id = 0;
	bool udp = false;
	std::vector<uint8_t> address; /* 4 or 16 bytes */
	uint16_t port = 0;
	uint32_t mark = 0;
	uint32_t timeout_ms = 0;
	std::optional<std::vector<uint8_t>> send;
	uint32_t receive = 0;
	std::vector<uint8_t> until;
	bool hand_over = false;
};

struct ProbeOutcome {
	uint64_t serial = 0;
	uint32_t id = 0;
	int error = 0; /* errno, 0 = done */
	uint32_t elapsed_us = 0;
	std::optional<std::vector<uint8_t>> data;
	Fd fd;
};

/*
 * Driven by edges: each call does all that is possible without blocking. After each call, TakeOutcome() may have
 * the result (once), and finished() tells that the probe can be dropped; between the two, a tcp probe drains.
 * Times are CLOCK_MONOTONIC nanoseconds.
 */
class Probe
{
      public:
	explicit Probe(ProbeSpec spec) : spec_(std::move(spec))
	{
	}
	void Start(uint64_t now);
	void OnReady(uint32_t epoll_events, uint64_t now);
	void OnDeadline(uint64_t now);
	/* Nobody wants the outcome any more; a connection still ends with FIN. */
	void Cancel(uint64_t now);

	int fd() const
	{
		return fd_.get();
	}
	uint64_t serial() const
	{
		return spec_.serial;
	}
	uint64_t deadline() const
	{
		return deadline_;
	}
	bool finished() const
	{
		return state_ == State::kFinished;
	}
	std::optional<ProbeOutcome> TakeOutcome();

      private:
	enum class State { kConnecting, kSending, kReceiving, kDraining, kFinished };

	int Connect();
	void Send(uint64_t now);
	void Receive(uint64_t now);
	void ReceiveDatagram(uint64_t now);
	void Drain();
	void Finish(int error, uint64_t now);
	void Part(bool gracefully, uint64_t now);

	ProbeSpec spec_;
	State state_ = State::kConnecting;
	Fd fd_;
	uint64_t started_ = 0;
	uint64_t deadline_ = 0;
	size_t sent_ = 0;
	size_t drained_ = 0;
	bool ended_ = false; /* the peer's FIN was read */
	std::vector<uint8_t> received_;
	std::optional<ProbeOutcome> outcome_;
};

} // namespace spillway
