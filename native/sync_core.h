/*
 * The protocol without sockets, threads or clock: src/sync/README.md. One thread at a time. Nothing here grows by what
 * strangers send. No JS here.
 */
#pragma once
#include "sync_announcer.h"
#include "sync_peer.h"

#include <deque>
#include <map>
#include <memory>
#include <unordered_set>

namespace spillway
{

struct SyncCoreSettings {
	SyncSelf self;
	std::vector<SyncKey> keys;
	uint32_t records_per_second = 0;
	size_t datagram_bytes = 1400;
};

struct SyncControlEvent {
	SyncSelf from;
	bool admitted;
	SyncEndpoint endpoint;
	std::vector<uint8_t> body;
};

struct SyncLostEvent {
	SyncSelf from;
	uint64_t datagrams;
};

struct SyncEventBatch {
	std::vector<SyncControlEvent> control;
	std::vector<SyncLostEvent> lost;
	uint64_t unannounced = 0;
	bool empty() const
	{
		return control.empty() && lost.empty() && unannounced == 0;
	}
};

class SyncCore
{
      public:
	static constexpr size_t kMostPeers = 256;

	SyncCore(std::shared_ptr<SyncStore> store, session_log *logs, size_t cpus, SyncCoreSettings settings);

	void SetKeys(std::vector<SyncKey> keys);
	void SetRate(uint32_t records_per_second);
	/* False: there are as many peers as there may be. */
	bool Admit(uint32_t node, uint64_t boot);
	void Forget(uint32_t node);
	size_t most_control_bytes() const;
	/* `to` nullptr: to everyone. False: too many are waiting to be sent. */
	bool Control(std::vector<uint8_t> body, const SyncEndpoint *to);
	void Receive(const uint8_t *datagram, size_t size, const SyncEndpoint &from, uint64_t now_ns);
	/* What is to be sent now; to be counted by CountSent. */
	const std::vector<Outgoing> &Poll(uint64_t now_ns);
	/* Of the last poll: there is more to do than to wait. */
	bool busy() const
	{
		return busy_;
	}
	/* Counted by whom it was really handed to: one copy for each peer, or one for a group. */
	void CountSent(size_t datagrams, size_t bytes, size_t errors)
	{
		counters_.datagramsSent += datagrams;
		counters_.bytesSent += bytes;
		counters_.sendErrors += errors;
	}
	SyncEventBatch TakeEvents();
	bool HasMessages() const
	{
		return !events_.empty();
	}
	bool HasLosses() const;
	SyncCounters &counters()
	{
		return counters_;
	}
	const std::map<uint32_t, std::unique_ptr<SyncPeer>> &peers() const
	{
		return peers_;
	}

      private:
	struct Waiting {
		bool everyone;
		SyncEndpoint to;
		std::vector<uint8_t> body;
	};
	struct Asked {
		SyncEndpoint by;
		uint64_t sequence;
		uint32_t node;
	};
	SyncPeer *FindPeer(uint32_t node);
	bool IsWellFormed(const uint8_t *datagram, size_t size, SyncHeader &header);
	void ReceiveData(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from, uint64_t now_ns);
	void MergeData(SyncPeer &peer, const SyncHeader &header, const uint8_t *body, uint64_t late_ns,
		       uint64_t now_ns);
	uint64_t NoteData(SyncPeer &peer, uint64_t sequence, uint64_t now_ns);
	void ReceiveControl(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from, uint64_t now_ns);
	void NoteSent(SyncPeer &peer, uint64_t last_data, uint64_t now_ns);
	void NoteMissing(SyncPeer &peer, uint64_t first, uint64_t last, uint64_t now_ns);
	void NoteLost(SyncPeer &peer, uint64_t datagrams);
	void NoteAsked(const SyncEndpoint &by, uint32_t node, const WireRange &range);
	static uint64_t AskKey(uint32_t node, uint64_t sequence)
	{
		return static_cast<uint64_t>(node) << 32 ^ sequence;
	}
	void ReceiveNack(const SyncHeader &header, const uint8_t *body, const SyncEndpoint &from);
	void Put(SyncKind kind, bool everyone, const SyncEndpoint &to, const std::vector<uint8_t> &body);
	void SendControl();
	void SendAgain(uint64_t now_ns);
	void AskAgain(uint64_t now_ns);

	const std::shared_ptr<SyncStore> store_;
	const SyncCoreSettings settings_;
	SyncCounters counters_;
	SyncKeys keys_;
	SyncPacker packer_;
	SyncAnnouncer announcer_;
	TokenBucket again_;
	std::map<uint32_t, std::unique_ptr<SyncPeer>> peers_; /* by node; bounded */
	std::unique_ptr<SyncStrangers> strangers_;
	std::deque<Waiting> waiting_;	      /* bounded */
	std::deque<Asked> asked_;	      /* bounded */
	std::unordered_set<uint64_t> asking_; /* who asked for what in asked_ */
	std::vector<Outgoing> out_;
	std::deque<std::vector<uint8_t>> made_; /* what out_ points to, beside the ring */
	std::vector<SyncRecord> records_;
	std::vector<SyncControlEvent> events_; /* bounded */
	size_t strange_events_ = 0;	       /* of these, of boots not admitted */
	uint64_t control_sequence_ = 0;
	bool busy_ = false;
};

} // namespace spillway
