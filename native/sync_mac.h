/* Who may speak: keyed BLAKE2b over each datagram (libsodium). No JS here. */
#pragma once
#include "sync_wire.h"

#include <array>
#include <vector>

namespace spillway
{

struct SyncKey {
	uint32_t id = 0;
	std::array<uint8_t, kSyncKeyBytes> key = {};
};

constexpr size_t kMostSyncKeys = 8;

/* False when libsodium cannot be used on this machine. May be called again. */
bool PrepareMac();
void ComputeMac(const SyncKey &key, const uint8_t *data, size_t size, uint8_t mac[kSyncMacBytes]);

/* The first key signs; all are accepted. */
class SyncKeys
{
      public:
	explicit SyncKeys(std::vector<SyncKey> keys) : keys_(std::move(keys))
	{
	}
	/* Writes key id and MAC of a datagram of `size` bytes, MAC included. */
	void Sign(uint8_t *datagram, size_t size) const;
	bool Check(const uint8_t *datagram, size_t size) const;
	/* It was signed by the key that signs now. */
	bool IsCurrent(const uint8_t *datagram) const;

      private:
	std::vector<SyncKey> keys_; /* at least one */
};

} // namespace spillway
