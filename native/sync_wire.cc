#include "sync_wire.h"

#include <arpa/inet.h>
#include <cstring>

namespace spillway
{

namespace
{

constexpr uint32_t kExact = 128; /* from this age on: four bits of mantissa, three of exponent */

} // namespace

std::optional<uint8_t> EncodeAge(uint32_t ticks)
{
	if (ticks < kExact)
		return static_cast<uint8_t>(ticks);
	if (ticks > kOldestAge)
		return std::nullopt;
	uint32_t exponent = std::bit_width(ticks) - 8;
	uint32_t step = 8u << exponent, steps = (ticks + step - 1) / step;
	if (steps == 32) {
		steps = 16;
		exponent++;
	}
	return static_cast<uint8_t>(kExact + exponent * 16 + steps - 16);
}

uint32_t DecodeAge(uint8_t code)
{
	if (code < kExact)
		return code;
	uint32_t exponent = (code - kExact) >> 4;
	return (16 + (code & 15)) * (8u << exponent);
}

bool IsMapped4(const address &client)
{
	return client.words[0] == 0 && client.words[1] == 0 && client.words[2] == htonl(0xffff);
}

WireRecord4 ToWire4(const SyncRecord &record)
{
	WireRecord4 wire = {record.tag, record.service, record.backend, {}, record.port, record.state, record.age};
	memcpy(wire.client, record.client.bytes + 12, sizeof(wire.client));
	return wire;
}

WireRecord6 ToWire6(const SyncRecord &record)
{
	WireRecord6 wire = {record.tag, record.service, record.backend, {}, record.port, record.state, record.age};
	memcpy(wire.client, record.client.bytes, sizeof(wire.client));
	return wire;
}

SyncRecord FromWire4(const uint8_t *bytes)
{
	WireRecord4 wire;
	memcpy(&wire, bytes, sizeof(wire));
	SyncRecord record = {wire.tag, wire.service, wire.backend, {}, wire.port, wire.state, wire.age};
	record.client.words[2] = htonl(0xffff);
	memcpy(record.client.bytes + 12, wire.client, sizeof(wire.client));
	return record;
}

SyncRecord FromWire6(const uint8_t *bytes)
{
	WireRecord6 wire;
	memcpy(&wire, bytes, sizeof(wire));
	SyncRecord record = {wire.tag, wire.service, wire.backend, {}, wire.port, wire.state, wire.age};
	memcpy(record.client.bytes, wire.client, sizeof(wire.client));
	return record;
}

} // namespace spillway
