#include "netlink.h"
#include "args.h"
#include "courier.h"
#include "error.h"

#include <cerrno>
#include <linux/netlink.h>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <vector>

namespace spillway
{

namespace
{

constexpr int kReceiveBuffer = 8 << 20;	     /* a full neighbour or route table of a busy router comes in one burst */
constexpr size_t kLargestDatagram = 1 << 16; /* dumps use 32 KiB; a single message (a large multipath route) may not */
constexpr size_t kPendingLimit = 64 << 20;

} // namespace

class NetlinkCourier : public Courier
{
      public:
	/* 0 or an errno; `syscall` says which step failed. */
	int Open(const std::vector<uint32_t> &groups, const char **syscall)
	{
		*syscall = "socket";
		socket_ = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
		if (!socket_.valid())
			return errno;
		int on = 1, size = kReceiveBuffer;
		if (setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
			setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		/* The kernel's reason in words comes as an attribute of NLMSG_ERROR. */
		setsockopt(socket_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
		sockaddr_nl address = {};
		address.nl_family = AF_NETLINK;
		*syscall = "bind";
		if (bind(socket_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
			return errno;
		*syscall = "setsockopt";
		for (uint32_t group : groups)
			if (setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
				return errno;
		return 0;
	}

	/* JS thread. 0 or an errno. The kernel handles a request within this call; only answers come later. */
	int Send(const Bytes &message)
	{
		sockaddr_nl kernel = {};
		kernel.nl_family = AF_NETLINK;
		ssize_t sent = sendto(socket_.get(), message.data, message.size, 0,
				      reinterpret_cast<sockaddr *>(&kernel), sizeof(kernel));
		return sent < 0 ? errno : 0;
	}

      private:
	struct Arrival {
		std::vector<uint8_t> bytes; /* empty: overrun */
	};

	void Run() override
	{
		std::vector<uint8_t> buffer(kLargestDatagram);
		pollfd waits[] = {{socket_.get(), POLLIN, 0}, {wake_fd(), POLLIN, 0}};
		while (!stopping()) {
			if (!ReceiveAll(buffer))
				waits[0].fd = -1;
			poll(waits, 2, -1);
		}
	}

	/* False when the socket is of no use any more. */
	bool ReceiveAll(std::vector<uint8_t> &buffer)
	{
		while (!stopping()) {
			sockaddr_nl from = {};
			socklen_t size = sizeof(from);
			ssize_t length = recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC,
						  reinterpret_cast<sockaddr *>(&from), &size);
			if (length < 0 && errno == EINTR)
				continue;
			if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
				return true;
			if (length < 0 && errno != ENOBUFS) {
				Push({});
				return false;
			}
			if (length >= 0 && from.nl_pid != 0) /* another process, not the kernel */
				continue;
			bool whole = length >= 0 && static_cast<size_t>(length) <= buffer.size();
			Push(whole ? Arrival{{buffer.begin(), buffer.begin() + length}} : Arrival{});
		}
		return true;
	}

	void Push(Arrival arrival)
	{
		std::lock_guard<std::mutex> lock(mutex_);
		bool overrun = arrival.bytes.empty() || pending_bytes_ + arrival.bytes.size() > kPendingLimit;
		if (!overrun) {
			pending_bytes_ += arrival.bytes.size();
			pending_.push_back(std::move(arrival));
		} else if (pending_.empty() || !pending_.back().bytes.empty()) {
			pending_.push_back({}); /* several in a row say no more than one */
		}
		Notify();
	}

	void Deliver(Napi::Env env, Napi::Function callback) override
	{
		std::vector<Arrival> arrivals;
		{
			std::lock_guard<std::mutex> lock(mutex_);
			arrivals.swap(pending_);
			pending_bytes_ = 0;
		}
		for (const Arrival &arrival : arrivals) {
			if (stopped())
				return;
			Napi::HandleScope scope(env);
			bool overrun = arrival.bytes.empty();
			Napi::Value bytes =
				overrun ? env.Null() : MakeBytes(env, arrival.bytes.data(), arrival.bytes.size());
			Call(env, callback, {bytes, Napi::Boolean::New(env, overrun)});
		}
	}

	Fd socket_;
	std::mutex mutex_;
	std::vector<Arrival> pending_; /* by mutex_ */
	size_t pending_bytes_ = 0;     /* by mutex_ */
};

Napi::Function NetlinkSocket::Define(Napi::Env env)
{
	return DefineClass(env, "NetlinkSocket",
			   {
				   InstanceMethod("send", &NetlinkSocket::Send),
				   InstanceMethod("close", &NetlinkSocket::Close),
			   });
}

NetlinkSocket::NetlinkSocket(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	Args args(env, "NetlinkSocket");
	Napi::Array list = args.Array(info[0], "groups");
	std::vector<uint32_t> groups;
	for (uint32_t index = 0; !args.failed() && index < list.Length(); index++)
		groups.push_back(args.Number(list.Get(index), "groups", 1, 1024));
	Napi::Function callback = args.Function(info[1], "onDatagram");
	if (args.failed())
		return;
	auto courier = std::make_shared<NetlinkCourier>();
	const char *syscall = "";
	int error = courier->Open(groups, &syscall);
	if (error) {
		ThrowErrno(env, error, syscall);
		return;
	}
	if (courier->Start(env, callback, "spillway-nl"))
		courier_ = courier;
}

NetlinkSocket::~NetlinkSocket()
{
	if (courier_)
		courier_->Stop();
}

Napi::Value NetlinkSocket::Send(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "NetlinkSocket.send");
	if (!courier_) {
		ThrowClosed(env, args.call());
		return {};
	}
	Bytes message = args.View(info[0], "message");
	if (args.failed())
		return {};
	int error = courier_->Send(message);
	if (error)
		ThrowErrno(env, error, "sendto");
	return {};
}

Napi::Value NetlinkSocket::Close(const Napi::CallbackInfo &info)
{
	if (courier_)
		courier_->Stop();
	courier_.reset();
	return {};
}

} // namespace spillway
