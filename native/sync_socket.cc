#include "sync_socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>

#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

namespace spillway
{

namespace
{

constexpr size_t kBatch = 64;
constexpr size_t kMostBatches = 16; /* then it is time to send */
/* As well: JS waits for the mutex meanwhile, whatever strangers send. */
constexpr std::chrono::milliseconds kLongest(2);
constexpr size_t kRoom = 9216;
constexpr int kBufferBytes = 8 << 20;
constexpr int kHops = 8; /* zones may be some routers apart */

int Set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Beyond the system's limits where that is allowed: the log of the data path holds more than a default buffer. */
void GrowBuffers(int fd)
{
	if (Set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kBufferBytes) != 0)
		Set(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes);
	if (Set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kBufferBytes) != 0)
		Set(fd, SOL_SOCKET, SO_SNDBUF, kBufferBytes);
}

Fd OpenUdp(bool v6)
{
	Fd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd.valid())
		GrowBuffers(fd.get());
	return fd;
}

SyncEndpoint FromSockaddr(const sockaddr_storage &address)
{
	SyncEndpoint endpoint;
	if (address.ss_family == AF_INET6) {
		const auto &six = reinterpret_cast<const sockaddr_in6 &>(address);
		endpoint.v6 = true;
		memcpy(endpoint.address, &six.sin6_addr, 16);
		endpoint.port = ntohs(six.sin6_port);
	} else {
		const auto &four = reinterpret_cast<const sockaddr_in &>(address);
		memcpy(endpoint.address, &four.sin_addr, 4);
		endpoint.port = ntohs(four.sin_port);
	}
	return endpoint;
}

} // namespace

struct SyncSocket::Buffers {
	mmsghdr messages[kBatch];
	iovec parts[kBatch];
	sockaddr_storage names[kBatch];
	uint8_t room[kBatch][kRoom];
	mmsghdr queue[kBatch];
	iovec queue_parts[kBatch];
	sockaddr_storage queue_names[kBatch];
	size_t queued = 0;
};

SyncSocket::SyncSocket() : buffers_(std::make_unique<Buffers>())
{
}

SyncSocket::~SyncSocket() = default;

socklen_t SyncSocket::MakeAddress(const SyncEndpoint &endpoint, sockaddr_storage &address) const
{
	memset(&address, 0, sizeof(address));
	if (!endpoint.v6) {
		auto &four = reinterpret_cast<sockaddr_in &>(address);
		four.sin_family = AF_INET;
		four.sin_port = htons(endpoint.port);
		memcpy(&four.sin_addr, endpoint.address, 4);
		return sizeof(four);
	}
	auto &six = reinterpret_cast<sockaddr_in6 &>(address);
	six.sin6_family = AF_INET6;
	six.sin6_port = htons(endpoint.port);
	memcpy(&six.sin6_addr, endpoint.address, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr) || IN6_IS_ADDR_MULTICAST(&six.sin6_addr))
		six.sin6_scope_id = scope_;
	return sizeof(six);
}

int SyncSocket::OpenOwn(const SyncAddresses &addresses, unsigned index, const char *&call)
{
	sockaddr_storage address;
	socklen_t length = MakeAddress(addresses.own, address);
	call = "socket";
	own_ = OpenUdp(addresses.own.v6);
	if (!own_.valid())
		return errno;
	call = "bind";
	if (bind(own_.get(), reinterpret_cast<sockaddr *>(&address), length) != 0)
		return errno;
	if (!addresses.multicast)
		return 0;
	int fd = own_.get();
	if (addresses.own.v6) {
		call = "IPV6_MULTICAST_IF";
		if (Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index) != 0)
			return errno;
		call = "IPV6_MULTICAST_HOPS";
		return Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, kHops) != 0 ||
				       Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) != 0
			       ? errno
			       : 0;
	}
	ip_mreqn where = {};
	where.imr_ifindex = index;
	memcpy(&where.imr_address, addresses.own.address, 4);
	call = "IP_MULTICAST_IF";
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &where, sizeof(where)) != 0)
		return errno;
	call = "IP_MULTICAST_TTL";
	return Set(fd, IPPROTO_IP, IP_MULTICAST_TTL, kHops) != 0 || Set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) != 0
		       ? errno
		       : 0;
}

int SyncSocket::OpenGroup(const SyncAddresses &addresses, unsigned index, const char *&call)
{
	sockaddr_storage address;
	socklen_t length = MakeAddress(addresses.group, address);
	call = "socket";
	group_ = OpenUdp(addresses.group.v6);
	if (!group_.valid())
		return errno;
	int fd = group_.get();
	/* Two interfaces of one host may serve two clusters by one group and port. */
	call = "SO_REUSEADDR";
	if (Set(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0)
		return errno;
	call = "bind";
	if (bind(fd, reinterpret_cast<sockaddr *>(&address), length) != 0)
		return errno;
	/* What other sockets of this host have joined is not ours. */
	if (addresses.group.v6) {
		ipv6_mreq join = {};
		memcpy(&join.ipv6mr_multiaddr, addresses.group.address, 16);
		join.ipv6mr_interface = index;
		Set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
		call = "IPV6_ADD_MEMBERSHIP";
		return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &join, sizeof(join)) != 0 ? errno : 0;
	}
	ip_mreqn join = {};
	memcpy(&join.imr_multiaddr, addresses.group.address, 4);
	join.imr_ifindex = index;
	Set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	call = "IP_ADD_MEMBERSHIP";
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)) != 0 ? errno : 0;
}

int SyncSocket::Open(const SyncAddresses &addresses, const char *&call)
{
	addresses_ = addresses;
	call = "if_nametoindex";
	scope_ = if_nametoindex(addresses_.interface.c_str());
	if (scope_ == 0)
		return errno;
	int error = OpenOwn(addresses_, scope_, call);
	if (error == 0 && addresses_.multicast)
		error = OpenGroup(addresses_, scope_, call);
	return error;
}

void SyncSocket::Renew()
{
	unsigned index = if_nametoindex(addresses_.interface.c_str());
	if (index == 0 || index == scope_)
		return;
	const char *call = nullptr;
	Close();
	if (Open(SyncAddresses(addresses_), call) == 0)
		return;
	/* Its address may not be there yet: the next time. Until then what is sent is an error. */
	Close();
	scope_ = 0;
}

size_t SyncSocket::ReceiveFrom(int fd, const Receiver &receiver)
{
	Buffers &in = *buffers_;
	size_t total = 0;
	auto began = std::chrono::steady_clock::now();
	for (size_t batch = 0; batch < kMostBatches; batch++) {
		for (size_t i = 0; i < kBatch; i++) {
			in.parts[i] = {in.room[i], kRoom};
			in.messages[i] = {};
			in.messages[i].msg_hdr.msg_iov = &in.parts[i];
			in.messages[i].msg_hdr.msg_iovlen = 1;
			in.messages[i].msg_hdr.msg_name = &in.names[i];
			in.messages[i].msg_hdr.msg_namelen = sizeof(in.names[i]);
		}
		int count = recvmmsg(fd, in.messages, kBatch, MSG_DONTWAIT, nullptr);
		/* What the network says about datagrams that we sent is no matter of ours: who misses them asks. */
		for (int i = 0; i < count; i++)
			receiver(in.room[i], in.messages[i].msg_len, FromSockaddr(in.names[i]));
		total += count > 0 ? count : 0;
		if (count < static_cast<int>(kBatch) || std::chrono::steady_clock::now() - began >= kLongest)
			break;
	}
	return total;
}

size_t SyncSocket::Receive(const Receiver &receiver)
{
	return ReceiveFrom(own_.get(), receiver) + (group_.valid() ? ReceiveFrom(group_.get(), receiver) : 0);
}

void SyncSocket::Queue(const Outgoing &outgoing, const SyncEndpoint &to, Sent &sent)
{
	Buffers &buffers = *buffers_;
	size_t i = buffers.queued++;
	buffers.queue_parts[i] = {const_cast<uint8_t *>(outgoing.data), outgoing.size};
	buffers.queue[i] = {};
	buffers.queue[i].msg_hdr.msg_iov = &buffers.queue_parts[i];
	buffers.queue[i].msg_hdr.msg_iovlen = 1;
	buffers.queue[i].msg_hdr.msg_name = &buffers.queue_names[i];
	buffers.queue[i].msg_hdr.msg_namelen = MakeAddress(to, buffers.queue_names[i]);
	if (buffers.queued == kBatch)
		Flush(sent);
}

/* One that the kernel does not take is counted and left out: those who miss it ask. */
void SyncSocket::Flush(Sent &sent)
{
	Buffers &buffers = *buffers_;
	for (size_t at = 0; at < buffers.queued;) {
		int count = sendmmsg(own_.get(), buffers.queue + at, buffers.queued - at, MSG_NOSIGNAL);
		if (count <= 0) {
			sent.errors++;
			sent.last_error = errno;
			at++;
			continue;
		}
		for (int i = 0; i < count; i++, at++) {
			sent.datagrams++;
			sent.bytes += buffers.queue_parts[at].iov_len;
		}
	}
	buffers.queued = 0;
}

SyncSocket::Sent SyncSocket::Send(const std::vector<Outgoing> &out)
{
	Sent sent;
	for (const Outgoing &outgoing : out) {
		if (!outgoing.everyone)
			Queue(outgoing, outgoing.to, sent);
		else if (addresses_.multicast)
			Queue(outgoing, addresses_.group, sent);
		else
			for (const SyncEndpoint &peer : addresses_.peers)
				Queue(outgoing, peer, sent);
	}
	Flush(sent);
	return sent;
}

} // namespace spillway
