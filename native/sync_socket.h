/*
 * The sockets of session synchronisation: one bound to the node's own address, by which it sends everything and hears
 * what is for it alone; one bound to the group, which hears the others. So nothing is taken that was sent to another
 * address of this host. No JS here.
 */
#pragma once
#include "fd.h"
#include "sync_datagram.h"

#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace spillway
{

struct SyncAddresses {
	std::string interface;
	SyncEndpoint own;
	bool multicast = false;
	SyncEndpoint group;
	std::vector<SyncEndpoint> peers; /* who everyone is, without a group */
};

class SyncSocket
{
      public:
	SyncSocket();
	~SyncSocket();
	/* 0, or an errno with what failed. */
	int Open(const SyncAddresses &addresses, const char *&call);
	/* Opens anew when the interface of this name is another one by now: memberships went with the old one. */
	void Renew();
	/* Address and port are free at once. */
	void Close()
	{
		own_.Close();
		group_.Close();
	}
	void SetPeers(std::vector<SyncEndpoint> peers)
	{
		addresses_.peers = std::move(peers);
	}

	using Receiver = std::function<void(const uint8_t *data, size_t size, const SyncEndpoint &from)>;
	/* All that waits, within reason; how many datagrams. */
	size_t Receive(const Receiver &receiver);

	struct Sent {
		size_t datagrams = 0, bytes = 0, errors = 0;
		int last_error = 0; /* of the last datagram that failed */
	};
	Sent Send(const std::vector<Outgoing> &out);

	int own_fd() const
	{
		return own_.get();
	}
	/* -1 without a group: poll(2) leaves it out. */
	int group_fd() const
	{
		return group_.get();
	}

      private:
	struct Buffers;
	int OpenOwn(const SyncAddresses &addresses, unsigned index, const char *&call);
	int OpenGroup(const SyncAddresses &addresses, unsigned index, const char *&call);
	socklen_t MakeAddress(const SyncEndpoint &endpoint, sockaddr_storage &address) const;
	size_t ReceiveFrom(int fd, const Receiver &receiver);
	void Queue(const Outgoing &outgoing, const SyncEndpoint &to, Sent &sent);
	void Flush(Sent &sent);

	Fd own_, group_;
	unsigned scope_ = 0; /* number of the interface; 0: not open */
	SyncAddresses addresses_;
	std::unique_ptr<Buffers> buffers_;
};

} // namespace spillway
