#include "sync_log.h"

#include <algorithm>

namespace spillway
{

namespace
{

/* Between head and entry the data path takes nanoseconds; what takes longer is lost with the program that began it. */
constexpr uint64_t kStuckNs = 50'000'000;

} // namespace

SyncLog::SyncLog(session_log *log) : log_(log), next_(__atomic_load_n(&log->tail, __ATOMIC_ACQUIRE))
{
	if (next_ > Head())
		next_ = Head();
}

uint64_t SyncLog::Head() const
{
	return __atomic_load_n(&log_->head, __ATOMIC_ACQUIRE);
}

uint64_t SyncLog::backlog() const
{
	uint64_t head = Head();
	return head > next_ ? head - next_ : 0;
}

void SyncLog::Overtaken(uint64_t head)
{
	if (head - next_ <= SESSION_LOG_ENTRIES)
		return;
	overruns_ += head - SESSION_LOG_ENTRIES - next_;
	next_ = head - SESSION_LOG_ENTRIES;
}

size_t SyncLog::Take(uint32_t *slots, size_t most, uint64_t now_ns)
{
	size_t count = 0;
	uint64_t head = Head();
	if (head < next_)
		next_ = head; /* another map by the same name */
	Overtaken(head);
	while (count < most && next_ < head) {
		uint64_t entry = __atomic_load_n(&log_->entries[next_ & (SESSION_LOG_ENTRIES - 1)], __ATOMIC_ACQUIRE);
		int32_t ahead = static_cast<int32_t>(static_cast<uint32_t>(entry) - static_cast<uint32_t>(next_ + 1));
		if (ahead == 0) {
			slots[count++] = entry >> 32;
			next_++;
			continue;
		}
		if (ahead > 0) { /* overwritten while we read */
			overruns_++;
			next_++;
			head = Head();
			Overtaken(head);
			continue;
		}
		if (stuck_at_ != next_) {
			stuck_at_ = next_;
			stuck_since_ns_ = now_ns;
		}
		if (now_ns - stuck_since_ns_ < kStuckNs)
			break;
		overruns_++;
		next_++;
	}
	return count;
}

size_t SyncLog::Skip(size_t most)
{
	size_t count = std::min<uint64_t>(most, backlog());
	next_ += count;
	return count;
}

void SyncLog::Commit()
{
	__atomic_store_n(&log_->tail, next_, __ATOMIC_RELEASE);
}

} // namespace spillway
