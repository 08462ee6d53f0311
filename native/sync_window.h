/* Which sequence numbers of one sender were seen: nothing is taken twice, nothing from before we knew it. No JS here.
 */
#pragma once
#include <cstdint>

namespace spillway
{

class SyncWindow
{
      public:
	static constexpr uint64_t kWidth = 16384;

	/* What comes from here on has numbers above `floor`. */
	void Start(uint64_t floor);
	uint64_t highest() const
	{
		return highest_;
	}
	bool IsFresh(uint64_t sequence) const;
	void Mark(uint64_t sequence);
	/* As if all up to `sequence` had been on its way: none of them is seen, but what is too old is past. */
	void Advance(uint64_t sequence);

      private:
	bool Has(uint64_t sequence) const
	{
		return bits_[sequence / 64 % (kWidth / 64)] >> sequence % 64 & 1;
	}
	uint64_t floor_ = 0, highest_ = 0;
	uint64_t bits_[kWidth / 64] = {};
};

} // namespace spillway
