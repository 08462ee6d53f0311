/* A token bucket: so many a second, a tenth of a second's worth at once. No JS here. */
#pragma once
#include <algorithm>
#include <cstdint>

namespace spillway
{

class TokenBucket
{
      public:
	void SetRate(double per_second)
	{
		rate_ = per_second;
		depth_ = std::max(per_second / 10, 64.0);
		tokens_ = std::min(tokens_, depth_);
	}
	void Refill(uint64_t now_ns)
	{
		if (!started_) {
			tokens_ = depth_;
			started_ = true;
		} else if (now_ns > at_ns_) {
			tokens_ = std::min(depth_, tokens_ + rate_ * static_cast<double>(now_ns - at_ns_) / 1e9);
		}
		at_ns_ = now_ns;
	}
	bool Take()
	{
		if (tokens_ < 1)
			return false;
		tokens_ -= 1;
		return true;
	}
	uint64_t tokens() const
	{
		return static_cast<uint64_t>(tokens_);
	}
	bool HasAny() const
	{
		return tokens_ >= 1;
	}
	/* For what can wait: only while others are not short. */
	bool IsHalfFull() const
	{
		return tokens_ >= depth_ / 2;
	}

      private:
	double rate_ = 0, depth_ = 64, tokens_ = 0;
	uint64_t at_ns_ = 0;
	bool started_ = false;
};

} // namespace spillway
