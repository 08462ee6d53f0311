#include "ring.h"
#include "args.h"
#include "courier.h"
#include "error.h"
#include "map.h"

#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <vector>

namespace spillway
{

namespace
{

struct Batch {
	std::vector<uint8_t> bytes;
	uint32_t count = 0;
	uint32_t lost = 0; /* before this batch */
};

struct FreeRing {
	void operator()(ring_buffer *ring) const
	{
		ring_buffer__free(ring);
	}
};

} // namespace

class RingCourier : public Courier
{
      public:
	RingCourier(Fd map, size_t batch_bytes, size_t pending_bytes)
	    : map_(std::move(map)), batch_bytes_(batch_bytes), pending_limit_(pending_bytes)
	{
	}

	/* 0 or an errno. */
	int Open()
	{
		ring_.reset(ring_buffer__new(map_.get(), RingCourier::Sample, this, nullptr));
		return ring_ ? 0 : errno;
	}

      private:
	void Run() override
	{
		pollfd waits[] = {{ring_buffer__epoll_fd(ring_.get()), POLLIN, 0}, {wake_fd(), POLLIN, 0}};
		while (!stopping()) {
			ring_buffer__consume(ring_.get());
			Flush();
			poll(waits, 2, -1);
		}
	}

	static int Sample(void *self, void *record, size_t size)
	{
		auto *courier = static_cast<RingCourier *>(self);
		courier->Add(record, size);
		/* Producers that keep up with us would keep consume() busy for ever. */
		return courier->stopping() ? -ECANCELED : 0;
	}

	void Add(const void *record, size_t size)
	{
		size_t padded = (size + 7) / 8 * 8;
		uint32_t length = static_cast<uint32_t>(size);
		if (!batch_.bytes.empty() && batch_.bytes.size() + sizeof(length) + padded > batch_bytes_)
			Flush();
		if (pending_bytes_.load(std::memory_order_relaxed) + batch_.bytes.size() + padded > pending_limit_) {
			lost_++;
			return;
		}
		size_t at = batch_.bytes.size();
		if (batch_.bytes.capacity() == 0)
			batch_.bytes.reserve(batch_bytes_ < 4096 ? batch_bytes_ : 4096);
		batch_.bytes.resize(at + sizeof(length) + padded);
		memcpy(&batch_.bytes[at], &length, sizeof(length));
		memcpy(&batch_.bytes[at + sizeof(length)], record, size);
		batch_.count++;
	}

	void Flush()
	{
		if (batch_.count == 0 && lost_ == reported_)
			return;
		std::lock_guard<std::mutex> lock(mutex_);
		/* A batch of losses alone says so at once, unless one that waits can say it. */
		if (batch_.count == 0 && !pending_.empty()) {
			pending_.back().lost += lost_ - reported_;
		} else {
			batch_.lost = lost_ - reported_;
			pending_bytes_ += batch_.bytes.size();
			pending_.push_back(std::exchange(batch_, {}));
		}
		reported_ = lost_;
		Notify();
	}

	void Deliver(Napi::Env env, Napi::Function callback) override
	{
		std::vector<Batch> batches;
		{
			std::lock_guard<std::mutex> lock(mutex_);
			batches.swap(pending_);
			pending_bytes_ = 0;
		}
		for (const Batch &batch : batches) {
			if (stopped())
				return;
			Napi::HandleScope scope(env);
			Call(env, callback,
			     {MakeBytes(env, batch.bytes.data(), batch.bytes.size()),
			      Napi::Number::New(env, batch.count), Napi::Number::New(env, batch.lost)});
		}
	}

	Fd map_;
	std::unique_ptr<ring_buffer, FreeRing> ring_; /* used by the thread alone once it runs */
	const size_t batch_bytes_;
	const size_t pending_limit_;
	Batch batch_;		/* own thread */
	uint32_t lost_ = 0;	/* own thread */
	uint32_t reported_ = 0; /* own thread */
	std::mutex mutex_;
	std::vector<Batch> pending_; /* by mutex_ */
	std::atomic<size_t> pending_bytes_ = 0;
};

Napi::Function RingReader::Define(Napi::Env env)
{
	return DefineClass(env, "RingReader", {InstanceMethod("close", &RingReader::Close)});
}

RingReader::RingReader(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	Args args(env, "RingReader");
	BpfMap *map = Expect<BpfMap>(env, info[0], args.call(), "map");
	if (map == nullptr || map->Open(env, args.call()) < 0)
		return;
	Napi::Object options = args.Object(info[1], "options");
	uint32_t batch = args.Number(args.Field(options, "maxBatchBytes"), "maxBatchBytes", 16, 1 << 26, 1 << 16);
	uint32_t pending = args.Number(args.Field(options, "maxPendingBytes"), "maxPendingBytes", 16, 1 << 30, 1 << 22);
	Napi::Function callback = args.Function(info[2], "onBatch");
	/* Options are read: their getters may have closed the map. */
	if (args.failed() || map->Open(env, args.call()) < 0)
		return;
	Fd fd = Fd::Duplicate(map->Open(env, args.call()));
	if (!fd.valid()) {
		ThrowErrno(env, errno, "fcntl");
		return;
	}
	CallLog log;
	auto courier = std::make_shared<RingCourier>(std::move(fd), batch, pending);
	int error = courier->Open();
	if (error) {
		ThrowErrno(env, error, "ring_buffer__new", &log);
		return;
	}
	if (courier->Start(env, callback, "spillway-ring"))
		courier_ = courier;
}

RingReader::~RingReader()
{
	if (courier_)
		courier_->Stop();
}

Napi::Value RingReader::Close(const Napi::CallbackInfo &info)
{
	if (courier_)
		courier_->Stop();
	courier_.reset();
	return {};
}

} // namespace spillway
