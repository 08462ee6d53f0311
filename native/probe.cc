#include "probe.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace spillway
{

namespace
{

constexpr uint64_t kDrainNs = 1'000'000'000; /* how long the peer may take to close after our FIN */
constexpr size_t kDrainBytes = 1 << 20;	     /* and how much it may still say */

socklen_t SocketAddress(const ProbeSpec &spec, sockaddr_storage &storage)
{
	memset(&storage, 0, sizeof(storage));
	if (spec.address.size() == 4) {
		auto *address = reinterpret_cast<sockaddr_in *>(&storage);
		address->sin_family = AF_INET;
		address->sin_port = htons(spec.port);
		memcpy(&address->sin_addr, spec.address.data(), 4);
		return sizeof(*address);
	}
	auto *address = reinterpret_cast<sockaddr_in6 *>(&storage);
	address->sin6_family = AF_INET6;
	address->sin6_port = htons(spec.port);
	memcpy(&address->sin6_addr, spec.address.data(), 16);
	return sizeof(*address);
}

/* recv that retries interrupts; a negative errno on failure. */
ssize_t Read(int fd, void *buffer, size_t size)
{
	ssize_t length;
	do
		length = recv(fd, buffer, size, 0);
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}

} // namespace

int Probe::Connect()
{
	sockaddr_storage address;
	socklen_t length = SocketAddress(spec_, address);
	int type = (spec_.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	fd_ = Fd(socket(address.ss_family, type, 0));
	if (!fd_.valid())
		return errno;
	int on = 1;
	if (spec_.mark != 0 && setsockopt(fd_.get(), SOL_SOCKET, SO_MARK, &spec_.mark, sizeof(spec_.mark)) != 0)
		return errno;
	if (!spec_.udp)
		setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* Without it a datagram socket hears of "port unreachable" alone, not of host or network. */
	else if (address.ss_family == AF_INET)
		setsockopt(fd_.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	return connect(fd_.get(), reinterpret_cast<sockaddr *>(&address), length) == 0 ? 0 : errno;
}

void Probe::Start(uint64_t now)
{
	started_ = now;
	deadline_ = now + spec_.timeout_ms * 1'000'000ull;
	int error = Connect();
	if (error == EINPROGRESS)
		return;
	if (error)
		return Finish(error, now);
	state_ = State::kSending;
	Send(now);
}

void Probe::OnReady(uint32_t events, uint64_t now)
{
	if (state_ == State::kConnecting) {
		int error = 0;
		socklen_t size = sizeof(error);
		getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
		if (error)
			return Finish(error, now);
		if (!(events & EPOLLOUT))
			return;
		state_ = State::kSending;
	}
	if (state_ == State::kSending)
		return Send(now);
	if (state_ == State::kReceiving)
		return spec_.udp ? ReceiveDatagram(now) : Receive(now);
	if (state_ == State::kDraining)
		Drain();
}

void Probe::OnDeadline(uint64_t now)
{
	if (state_ == State::kDraining) {
		fd_.Close();
		state_ = State::kFinished;
		return;
	}
	/* udp without an expected reply: no ICMP error came, and that is all one can know. */
	bool silent = spec_.udp && spec_.receive == 0 && state_ == State::kReceiving;
	Finish(silent ? 0 : ETIMEDOUT, now);
}

void Probe::Cancel(uint64_t now)
{
	if (state_ == State::kDraining || state_ == State::kFinished)
		return;
	Part(state_ != State::kConnecting, now);
}

std::optional<ProbeOutcome> Probe::TakeOutcome()
{
	return std::exchange(outcome_, std::nullopt);
}

void Probe::Send(uint64_t now)
{
	size_t size = spec_.send ? spec_.send->size() : 0;
	const uint8_t *bytes = spec_.send ? spec_.send->data() : nullptr;
	while (sent_ < size || spec_.udp) {
		ssize_t length = send(fd_.get(), bytes + sent_, size - sent_, MSG_NOSIGNAL);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0)
			return Finish(errno, now);
		sent_ += length;
		if (spec_.udp)
			break;
	}
	if (!spec_.udp && spec_.receive == 0)
		return Finish(0, now);
	state_ = State::kReceiving;
	/* The edge for what came meanwhile may have passed. */
	return spec_.udp ? ReceiveDatagram(now) : Receive(now);
}

void Probe::Receive(uint64_t now)
{
	uint8_t buffer[16384];
	while (received_.size() < spec_.receive) {
		size_t room = std::min(sizeof(buffer), spec_.receive - received_.size());
		ssize_t length = Read(fd_.get(), buffer, room);
		if (length == -EAGAIN)
			return;
		if (length < 0)
			return Finish(static_cast<int>(-length), now);
		if (length == 0) {
			ended_ = true;
			break;
		}
		/* The searched text may begin in bytes that came before. */
		size_t overlap = spec_.until.empty() ? 0 : std::min(received_.size(), spec_.until.size() - 1);
		size_t from = received_.size() - overlap;
		received_.insert(received_.end(), buffer, buffer + length);
		if (!spec_.until.empty() && memmem(&received_[from], received_.size() - from, spec_.until.data(),
						   spec_.until.size()) != nullptr)
			break;
	}
	Finish(0, now);
}

void Probe::ReceiveDatagram(uint64_t now)
{
	received_.resize(spec_.receive);
	uint8_t nothing;
	ssize_t length =
		spec_.receive > 0 ? Read(fd_.get(), received_.data(), received_.size()) : Read(fd_.get(), &nothing, 0);
	if (length == -EAGAIN)
		return;
	received_.resize(std::max<ssize_t>(length, 0));
	Finish(length < 0 ? static_cast<int>(-length) : 0, now);
}

void Probe::Finish(int error, uint64_t now)
{
	bool connected = state_ != State::kConnecting;
	ProbeOutcome outcome;
	outcome.serial = spec_.serial;
	outcome.id = spec_.id;
	outcome.error = error;
	outcome.elapsed_us = static_cast<uint32_t>((now - started_) / 1000);
	if (spec_.receive > 0 && (error == 0 || !received_.empty()))
		outcome.data = std::move(received_);
	if (error == 0 && spec_.hand_over && !spec_.udp) {
		outcome.fd = std::move(fd_);
		state_ = State::kFinished;
	} else {
		Part(connected && (error == 0 || error == ETIMEDOUT), now);
	}
	outcome_ = std::move(outcome);
}

/* close() with unread bytes, or with the peer still sending, is an RST that fills the backend's log. */
void Probe::Part(bool gracefully, uint64_t now)
{
	if (!gracefully || spec_.udp || ended_ || shutdown(fd_.get(), SHUT_WR) != 0) {
		fd_.Close();
		state_ = State::kFinished;
		return;
	}
	state_ = State::kDraining;
	deadline_ = now + kDrainNs;
	Drain();
}

void Probe::Drain()
{
	uint8_t buffer[16384];
	for (;;) {
		ssize_t length = Read(fd_.get(), buffer, sizeof(buffer));
		if (length == -EAGAIN)
			return;
		drained_ += length > 0 ? length : 0;
		if (length > 0 && drained_ < kDrainBytes)
			continue;
		fd_.Close();
		state_ = State::kFinished;
		return;
	}
}

} // namespace spillway
