#include "sync_window.h"

#include <cstring>

namespace spillway
{

void SyncWindow::Start(uint64_t floor)
{
	floor_ = highest_ = floor;
	memset(bits_, 0, sizeof(bits_));
}

bool SyncWindow::IsFresh(uint64_t sequence) const
{
	if (sequence > highest_)
		return true;
	return sequence > floor_ && highest_ - sequence < kWidth && !Has(sequence);
}

void SyncWindow::Advance(uint64_t sequence)
{
	if (sequence <= highest_)
		return;
	if (sequence - highest_ >= kWidth) {
		memset(bits_, 0, sizeof(bits_));
	} else {
		for (uint64_t n = highest_ + 1; n <= sequence; n++)
			bits_[n / 64 % (kWidth / 64)] &= ~(1ULL << n % 64);
	}
	highest_ = sequence;
}

void SyncWindow::Mark(uint64_t sequence)
{
	Advance(sequence);
	bits_[sequence / 64 % (kWidth / 64)] |= 1ULL << sequence % 64;
}

} // namespace spillway
