/* What goes out and where to. No JS here. */
#pragma once
#include "sync_mac.h"
#include "sync_ring.h"

#include <cstring>
#include <vector>

namespace spillway
{

struct SyncEndpoint {
	bool v6 = false;
	uint8_t address[16] = {}; /* IPv4: the first four */
	uint16_t port = 0;	  /* host order */
};

struct Outgoing {
	bool everyone;
	SyncEndpoint to;
	const uint8_t *data; /* until the next poll */
	size_t size;
};

/* Who we are, in each header. */
struct SyncSelf {
	uint32_t node = 0;
	uint64_t boot = 0;
};

/* Header, body, MAC, in `to`, which has room for them. Returns the size of it all. */
inline size_t WriteDatagram(uint8_t *to, const SyncHeader &header, const void *body, const SyncKeys &keys)
{
	size_t size = sizeof(header) + header.body_bytes + kSyncMacBytes;
	memcpy(to, &header, sizeof(header));
	if (body != nullptr)
		memcpy(to + sizeof(header), body, header.body_bytes);
	keys.Sign(to, size);
	return size;
}

} // namespace spillway
