#include "sync_dictionary.h"

#include <bit>

namespace spillway
{

namespace
{

uint64_t BackendKey(uint16_t pool, uint32_t wire)
{
	return static_cast<uint64_t>(pool) << 32 | wire;
}

} // namespace

NumberIndex::NumberIndex(size_t entries) : cells_(std::bit_ceil(entries * 2 + 2))
{
}

size_t NumberIndex::Home(uint64_t key) const
{
	return (key * 0x9e3779b97f4a7c15ULL >> 32) & (cells_.size() - 1);
}

bool NumberIndex::Add(uint64_t key, uint32_t number)
{
	size_t at = Home(key);
	while (cells_[at].used) {
		if (cells_[at].key == key)
			return false;
		at = (at + 1) & (cells_.size() - 1);
	}
	cells_[at] = {key, number, true};
	return true;
}

std::optional<uint32_t> NumberIndex::Find(uint64_t key) const
{
	for (size_t at = Home(key); cells_[at].used; at = (at + 1) & (cells_.size() - 1))
		if (cells_[at].key == key)
			return cells_[at].number;
	return std::nullopt;
}

SyncDictionary::SyncDictionary(SyncNames names)
    : names_(std::move(names)), services_(names_.service_wire.size()), backends_(names_.backend_wire.size())
{
	for (size_t id = 1; id < names_.service_wire.size(); id++)
		if (names_.service_wire[id] != 0 && !services_.Add(names_.service_wire[id], id))
			collisions_++;
	for (size_t id = 1; id < names_.backend_wire.size(); id++)
		if (names_.backend_wire[id] != 0 &&
		    !backends_.Add(BackendKey(names_.backend_pool[id], names_.backend_wire[id]), id))
			collisions_++;
}

std::optional<SyncDictionary::Local> SyncDictionary::Find(uint32_t service_wire, uint32_t backend_wire) const
{
	std::optional<uint32_t> service = services_.Find(service_wire);
	if (!service)
		return std::nullopt;
	std::optional<uint32_t> backend = backends_.Find(BackendKey(names_.service_pool[*service], backend_wire));
	if (!backend)
		return std::nullopt;
	return Local{static_cast<uint16_t>(*service), static_cast<uint16_t>(*backend)};
}

} // namespace spillway
