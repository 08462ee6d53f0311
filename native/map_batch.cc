/* Many entries in one system call, where the map type and the kernel can; one by one where not. */
#include "map.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace spillway
{

namespace
{

constexpr uint32_t kChunk = 4096;
constexpr uint32_t kLargestChunk = 1 << 22;

bool IsUnsupported(int error)
{
	return error == -EOPNOTSUPP || error == -524 /* ENOTSUPP */;
}

int ReadOneByOne(const MapShape &map, MapEntries &entries, const void *previous = nullptr)
{
	std::vector<uint8_t> key(map.key_size), value(map.value_bytes);
	entries = {};
	/* A deletion under way makes get_next_key start again: the bound ends such a walk. */
	while (entries.count < map.max_entries) {
		int error = bpf_map_get_next_key(map.fd, previous, key.data());
		if (error == -ENOENT)
			break;
		if (error)
			return error;
		previous = key.data();
		error = bpf_map_lookup_elem(map.fd, key.data(), value.data());
		if (error == -ENOENT)
			continue;
		if (error)
			return error;
		entries.keys.insert(entries.keys.end(), key.begin(), key.end());
		entries.values.insert(entries.values.end(), value.begin(), value.end());
		entries.count++;
	}
	return 0;
}

int ReadOneByOne(const MapShape &map, uint32_t first, uint32_t count, uint8_t *values)
{
	for (uint32_t index = first; index < first + count; index++, values += map.value_bytes) {
		int error = bpf_map_lookup_elem(map.fd, &index, values);
		if (error == -ENOENT) /* an empty slot of an array of maps or programs */
			memset(values, 0, map.value_bytes);
		else if (error)
			return error;
	}
	return 0;
}

/* A batch costs the kernel 0.25 us an element; copying from a mapping of just these elements 10 ns. */
int CopyMapped(const MapShape &map, uint32_t first, uint32_t count, uint8_t *values)
{
	size_t page = sysconf(_SC_PAGESIZE), stride = (map.value_bytes + 7u) / 8 * 8;
	size_t from = first * stride / page * page, to = (first + static_cast<size_t>(count)) * stride;
	void *mapping = mmap(nullptr, to - from, PROT_READ, MAP_SHARED, map.fd, static_cast<off_t>(from));
	if (mapping == MAP_FAILED)
		return -errno;
	const uint8_t *element = static_cast<uint8_t *>(mapping) + first * stride - from;
	if (stride == map.value_bytes)
		memcpy(values, element, count * stride);
	else
		for (uint32_t index = 0; index < count; index++, element += stride, values += map.value_bytes)
			memcpy(values, element, map.value_bytes);
	munmap(mapping, to - from);
	return 0;
}

} // namespace

bool IsArray(uint32_t type)
{
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PROG_ARRAY ||
	       type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
}

bool IsPerCpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

int ReadEntries(const MapShape &map, MapEntries &entries)
{
	/* The cursor is a u32 bucket number for hashes and the previous key for the others. */
	std::vector<uint8_t> cursor(std::max<size_t>(map.key_size, 8));
	bool started = false;
	uint32_t chunk = std::min(kChunk, std::max(map.max_entries, 1u));
	for (;;) {
		size_t have = entries.count;
		entries.keys.resize((have + chunk) * map.key_size);
		entries.values.resize((have + chunk) * map.value_bytes);
		uint32_t count = chunk;
		int error = bpf_map_lookup_batch(map.fd, started ? cursor.data() : nullptr, cursor.data(),
						 &entries.keys[have * map.key_size],
						 &entries.values[have * map.value_bytes], &count, nullptr);
		if (IsUnsupported(error) && !started)
			return ReadOneByOne(map, entries);
		/* ENOSPC: the next hash bucket alone has more entries than the chunk has room for. */
		if (error == -ENOSPC && chunk < kLargestChunk) {
			if (count > 0 && count < chunk) {
				entries.count += count;
				started = true;
			}
			chunk *= 2;
			continue;
		}
		if (error && error != -ENOENT)
			return error;
		entries.count += count;
		if (error == -ENOENT)
			break;
		started = true;
	}
	entries.keys.resize(static_cast<size_t>(entries.count) * map.key_size);
	entries.values.resize(static_cast<size_t>(entries.count) * map.value_bytes);
	return 0;
}

int ReadEntriesFrom(const MapShape &map, const std::vector<uint8_t> &after, uint32_t limit, MapEntries &entries,
		    bool &end)
{
	std::vector<uint8_t> cursor(map.key_size);
	entries.count = limit;
	entries.keys.resize(static_cast<size_t>(limit) * map.key_size);
	entries.values.resize(static_cast<size_t>(limit) * map.value_bytes);
	int error = bpf_map_lookup_batch(map.fd, after.empty() ? nullptr : const_cast<uint8_t *>(after.data()),
					 cursor.data(), entries.keys.data(), entries.values.data(), &entries.count,
					 nullptr);
	if (IsUnsupported(error)) {
		MapShape bounded = map;
		bounded.max_entries = limit;
		error = ReadOneByOne(bounded, entries, after.empty() ? nullptr : after.data());
		end = entries.count < limit;
	} else {
		end = error == -ENOENT || entries.count == 0;
	}
	if (error && error != -ENOENT)
		return error;
	entries.keys.resize(static_cast<size_t>(entries.count) * map.key_size);
	entries.values.resize(static_cast<size_t>(entries.count) * map.value_bytes);
	return 0;
}

int DeleteEntries(const MapShape &map, const uint8_t *keys, uint32_t count)
{
	while (count > 0) {
		uint32_t done = count;
		int error = bpf_map_delete_batch(map.fd, keys, &done, nullptr);
		if (IsUnsupported(error)) {
			error = bpf_map_delete_elem(map.fd, keys);
			done = 0;
		}
		if (error && error != -ENOENT)
			return error;
		if (error == 0 && done == count)
			return 0;
		/* The one after those that were done is not there, or went alone. */
		done++;
		count -= done;
		keys += static_cast<size_t>(done) * map.key_size;
	}
	return 0;
}

int UpdateEntries(const MapShape &map, const uint8_t *keys, const uint8_t *values, uint32_t count)
{
	uint32_t done = count;
	int error = count ? bpf_map_update_batch(map.fd, keys, values, &done, nullptr) : 0;
	if (!IsUnsupported(error))
		return error;
	for (uint32_t index = 0; index < count; index++) {
		error = bpf_map_update_elem(map.fd, keys + static_cast<size_t>(index) * map.key_size,
					    values + static_cast<size_t>(index) * map.value_bytes, BPF_ANY);
		if (error)
			return error;
	}
	return 0;
}

int ReadArray(const MapShape &map, uint32_t first, uint32_t count, uint8_t *values)
{
	if (map.mmapable && count > 1 && CopyMapped(map, first, count, values) == 0)
		return 0;
	std::vector<uint32_t> keys(std::min(count, kChunk));
	while (count > 0) {
		uint32_t before = first - 1, after = 0, got = std::min(count, kChunk);
		int error = bpf_map_lookup_batch(map.fd, first > 0 ? &before : nullptr, &after, keys.data(), values,
						 &got, nullptr);
		if (IsUnsupported(error))
			return ReadOneByOne(map, first, count, values);
		if (error && error != -ENOENT)
			return error;
		/* Arrays have no holes: anything but a full stretch in order means another kind of map. */
		if (got == 0 || keys[0] != first || keys[got - 1] != first + got - 1)
			return ReadOneByOne(map, first, count, values);
		first += got;
		count -= got;
		values += static_cast<size_t>(got) * map.value_bytes;
	}
	return 0;
}

int SumArray(const MapShape &map, uint32_t first, uint32_t count, uint32_t words, uint64_t *sums)
{
	uint32_t cpus = map.value_bytes / (words * 8);
	std::vector<uint64_t> values(static_cast<size_t>(std::min(count, kChunk)) * cpus * words);
	while (count > 0) {
		uint32_t part = std::min(count, kChunk);
		int error = ReadArray(map, first, part, reinterpret_cast<uint8_t *>(values.data()));
		if (error)
			return error;
		const uint64_t *value = values.data();
		for (uint32_t element = 0; element < part; element++, sums += words)
			for (uint32_t cpu = 0; cpu < cpus; cpu++, value += words)
				for (uint32_t word = 0; word < words; word++)
					sums[word] += value[word];
		first += part;
		count -= part;
	}
	return 0;
}

} // namespace spillway
