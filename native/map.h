/* BpfMap: one map by descriptor. */
#pragma once
#include "args.h"
#include "environment.h"

#include <linux/bpf.h>
#include <napi.h>
#include <vector>

namespace spillway
{

/* What the batch operations need to know; they live apart from JS (map_batch.cc). Results are 0 or a negative errno. */
struct MapShape {
	int fd = -1;
	uint32_t type = 0;
	uint32_t key_size = 0;
	uint32_t value_bytes = 0; /* as user space sees it: all possible CPUs */
	uint32_t max_entries = 0;
	bool mmapable = false;
};

struct MapEntries {
	uint32_t count = 0;
	std::vector<uint8_t> keys;
	std::vector<uint8_t> values;
};

bool IsArray(uint32_t type);
bool IsPerCpu(uint32_t type);
int ReadEntries(const MapShape &map, MapEntries &entries);
/* Up to `limit` entries behind the key `after` (empty: from the first on), for maps that are walked by their keys. */
int ReadEntriesFrom(const MapShape &map, const std::vector<uint8_t> &after, uint32_t limit, MapEntries &entries,
		    bool &end);
int DeleteEntries(const MapShape &map, const uint8_t *keys, uint32_t count);
int UpdateEntries(const MapShape &map, const uint8_t *keys, const uint8_t *values, uint32_t count);
int ReadArray(const MapShape &map, uint32_t first, uint32_t count, uint8_t *values);
/* `sums` has count * words zeroed words; words = value_size / 8. */
int SumArray(const MapShape &map, uint32_t first, uint32_t count, uint32_t words, uint64_t *sums);

class BpfMap : public Napi::ObjectWrap<BpfMap>
{
      public:
	static constexpr napi_type_tag kTag = {0x7370696c6c776179, 0x0000000000000001};
	static constexpr const char *kName = "BpfMap";
	static Napi::Function Define(Napi::Env env);
	explicit BpfMap(const Napi::CallbackInfo &info);

	/* -1 with ERR_CLOSED pending after close(). */
	int Open(Napi::Env env, const char *call);

      private:
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);
	Napi::Value Info(const Napi::CallbackInfo &info);
	Napi::Value ValueBytes(const Napi::CallbackInfo &info);
	Napi::Value Lookup(const Napi::CallbackInfo &info);
	Napi::Value Update(const Napi::CallbackInfo &info);
	Napi::Value Delete(const Napi::CallbackInfo &info);
	Napi::Value Entries(const Napi::CallbackInfo &info);
	Napi::Value EntriesFrom(const Napi::CallbackInfo &info);
	Napi::Value DeleteBatch(const Napi::CallbackInfo &info);
	Napi::Value UpdateBatch(const Napi::CallbackInfo &info);
	Napi::Value ReadRange(const Napi::CallbackInfo &info);
	Napi::Value SumRange(const Napi::CallbackInfo &info);
	Napi::Value Mmap(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);
	bool Range(Args &args, const Napi::CallbackInfo &info, uint32_t &first, uint32_t &count);
	MapShape Shape() const;

	Fd fd_;
	bpf_map_info map_ = {};
	uint32_t value_bytes_ = 0;
	/* Weak: the buffer owns the mapping; this only makes mmap() give the same one while it lives. */
	Napi::Reference<Napi::ArrayBuffer> mapped_;
};

} // namespace spillway
