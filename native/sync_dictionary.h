/* What local numbers of services and backends are called on the wire, both ways. Never changes once made. No JS here.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace spillway
{

/* Open addressing: key to number; the first of equal keys stays. */
class NumberIndex
{
      public:
	explicit NumberIndex(size_t entries);
	/* False: the key was there. */
	bool Add(uint64_t key, uint32_t number);
	std::optional<uint32_t> Find(uint64_t key) const;

      private:
	struct Cell {
		uint64_t key = 0;
		uint32_t number = 0;
		bool used = false;
	};
	size_t Home(uint64_t key) const;
	std::vector<Cell> cells_; /* a power of two, at most half used */
};

struct SyncNames {
	std::vector<uint32_t> service_wire, backend_wire;
	std::vector<uint16_t> service_pool, backend_pool;
	std::vector<uint8_t> service_protocol; /* of IP */
	std::vector<uint16_t> timeouts;	       /* ticks by service * 4 + (state & 3) */
};

class SyncDictionary
{
      public:
	explicit SyncDictionary(SyncNames names);

	struct Local {
		uint16_t service, backend;
	};
	/* The backend is looked for in the pool of the service. */
	std::optional<Local> Find(uint32_t service_wire, uint32_t backend_wire) const;
	/* 0: unknown. */
	uint32_t ServiceWire(uint32_t service) const
	{
		return service < names_.service_wire.size() ? names_.service_wire[service] : 0;
	}
	uint32_t BackendWire(uint32_t backend) const
	{
		return backend < names_.backend_wire.size() ? names_.backend_wire[backend] : 0;
	}
	uint8_t Protocol(uint32_t service) const
	{
		return service < names_.service_protocol.size() ? names_.service_protocol[service] : 0;
	}
	/* 0: such sessions are none. */
	uint32_t Timeout(uint32_t service, uint32_t state) const
	{
		size_t index = service * 4 + (state & 3);
		return index < names_.timeouts.size() ? names_.timeouts[index] : 0;
	}
	/* Names that two numbers share: what comes by them goes to the first. */
	uint32_t collisions() const
	{
		return collisions_;
	}

      private:
	SyncNames names_;
	NumberIndex services_, backends_;
	uint32_t collisions_ = 0;
};

} // namespace spillway
