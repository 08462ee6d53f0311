/* The last datagrams that were sent to everyone, for those who ask for them again. No JS here. */
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace spillway
{

class SyncRing
{
      public:
	static constexpr uint64_t kKept = 8192;

	explicit SyncRing(size_t datagram_bytes)
	    : datagram_bytes_(datagram_bytes),
	      memory_(std::make_unique_for_overwrite<uint8_t[]>(kKept * datagram_bytes)), kept_(kKept)
	{
	}
	/* Room for the datagram of this number; what is there is overwritten. */
	uint8_t *Take(uint64_t sequence, size_t size)
	{
		kept_[sequence % kKept] = {sequence, size};
		return At(sequence);
	}
	struct Datagram {
		const uint8_t *data; /* nullptr: not kept any more */
		size_t size;
	};
	Datagram Find(uint64_t sequence) const
	{
		const Kept &kept = kept_[sequence % kKept];
		if (sequence == 0 || kept.sequence != sequence)
			return {nullptr, 0};
		return {&memory_[sequence % kKept * datagram_bytes_], kept.size};
	}

      private:
	struct Kept {
		uint64_t sequence = 0;
		size_t size = 0;
	};
	uint8_t *At(uint64_t sequence)
	{
		return &memory_[sequence % kKept * datagram_bytes_];
	}
	size_t datagram_bytes_;
	std::unique_ptr<uint8_t[]> memory_; /* pages are taken as datagrams come */
	std::vector<Kept> kept_;
};

} // namespace spillway
