#include "sync_mac.h"

#include <cstring>
#include <sodium.h>

namespace spillway
{

bool PrepareMac()
{
	return sodium_init() >= 0;
}

void ComputeMac(const SyncKey &key, const uint8_t *data, size_t size, uint8_t mac[kSyncMacBytes])
{
	crypto_generichash(mac, kSyncMacBytes, data, size, key.key.data(), key.key.size());
}

void SyncKeys::Sign(uint8_t *datagram, size_t size) const
{
	memcpy(datagram + offsetof(SyncHeader, key), &keys_[0].id, sizeof(keys_[0].id));
	ComputeMac(keys_[0], datagram, size - kSyncMacBytes, datagram + size - kSyncMacBytes);
}

bool SyncKeys::IsCurrent(const uint8_t *datagram) const
{
	SyncHeader header;
	memcpy(&header, datagram, sizeof(header));
	return header.key == keys_.front().id;
}

bool SyncKeys::Check(const uint8_t *datagram, size_t size) const
{
	uint32_t id;
	uint8_t mac[kSyncMacBytes];
	memcpy(&id, datagram + offsetof(SyncHeader, key), sizeof(id));
	for (const SyncKey &key : keys_) {
		if (key.id != id)
			continue;
		ComputeMac(key, datagram, size - kSyncMacBytes, mac);
		if (sodium_memcmp(mac, datagram + size - kSyncMacBytes, kSyncMacBytes) == 0)
			return true;
	}
	return false;
}

} // namespace spillway
