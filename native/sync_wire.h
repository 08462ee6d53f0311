/* Datagrams of session synchronisation, wire version 1: src/sync/README.md byte by byte. No JS here. */
#pragma once
#include "../bpf/abi_types.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace spillway
{

static_assert(std::endian::native == std::endian::little, "the wire is little-endian, and so are we");

constexpr uint32_t kSyncMagic = 0x31535753;
constexpr uint8_t kSyncVersion = 1;
constexpr size_t kSyncKeyBytes = 32;
constexpr size_t kSyncMacBytes = 16;

enum SyncKind : uint8_t { kSyncData = 1, kSyncControl = 2, kSyncNack = 3 };

struct SyncHeader {
	uint32_t magic;
	uint8_t version;
	uint8_t kind;
	uint8_t bytes4;
	uint8_t bytes6;
	uint32_t node;
	uint32_t key;
	uint64_t boot;
	uint64_t sequence;
	uint16_t count4;
	uint16_t count6;
	uint32_t body_bytes;
};
static_assert(sizeof(SyncHeader) == 40);

constexpr size_t kSyncOverhead = sizeof(SyncHeader) + kSyncMacBytes;

struct __attribute__((packed)) WireRecord4 {
	uint64_t tag;
	uint32_t service;
	uint32_t backend;
	uint8_t client[4];
	uint16_t port; /* as on the network */
	uint8_t state;
	uint8_t age;
};
static_assert(sizeof(WireRecord4) == 24);

struct __attribute__((packed)) WireRecord6 {
	uint64_t tag;
	uint32_t service;
	uint32_t backend;
	uint8_t client[16];
	uint16_t port;
	uint8_t state;
	uint8_t age;
};
static_assert(sizeof(WireRecord6) == 36);

/* Begins the body of CONTROL. */
struct WireControl {
	uint64_t last_data; /* sequence of the last DATA sent before it */
};

/* Begins the body of NACK; WireRange follow. */
struct WireNack {
	uint32_t node;
	uint32_t pad;
	uint64_t boot;
};
static_assert(sizeof(WireNack) == 16);

struct WireRange {
	uint64_t first;
	uint32_t count;
	uint32_t pad;
};
static_assert(sizeof(WireRange) == 16);

/* A session as nodes tell it each other, whatever the client's family. */
struct SyncRecord {
	uint64_t tag;
	uint32_t service;
	uint32_t backend;
	address client;
	uint16_t port;
	uint8_t state;
	uint8_t age;
};

constexpr uint32_t kOldestAge = 31744;

/*
 * Ticks since last seen in a byte: exact up to 127, from there on in steps of 1/16 at most, rounded up: what comes back
 * to where it was seen is never newer than the truth. nullopt: older than can be said.
 */
std::optional<uint8_t> EncodeAge(uint32_t ticks);
uint32_t DecodeAge(uint8_t code);

bool IsMapped4(const address &client);
WireRecord4 ToWire4(const SyncRecord &record);
WireRecord6 ToWire6(const SyncRecord &record);
SyncRecord FromWire4(const uint8_t *bytes);
SyncRecord FromWire6(const uint8_t *bytes);

} // namespace spillway
