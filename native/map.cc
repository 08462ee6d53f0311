#include "map.h"
#include "error.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace spillway
{

namespace
{

size_t RoundUp(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

Napi::Object EntriesObject(Napi::Env env, const MapEntries &entries)
{
	Napi::Object result = Napi::Object::New(env);
	result.Set("count", entries.count);
	result.Set("keys", MakeBytes(env, entries.keys.data(), entries.keys.size()));
	result.Set("values", MakeBytes(env, entries.values.data(), entries.values.size()));
	return result;
}

} // namespace

Napi::Function BpfMap::Define(Napi::Env env)
{
	return DefineClass(env, "BpfMap",
			   {
				   StaticMethod("openPinned", &BpfMap::OpenPinned),
				   InstanceAccessor("info", &BpfMap::Info, nullptr),
				   InstanceAccessor("valueBytes", &BpfMap::ValueBytes, nullptr),
				   InstanceMethod("lookup", &BpfMap::Lookup),
				   InstanceMethod("update", &BpfMap::Update),
				   InstanceMethod("delete", &BpfMap::Delete),
				   InstanceMethod("entries", &BpfMap::Entries),
				   InstanceMethod("entriesFrom", &BpfMap::EntriesFrom),
				   InstanceMethod("deleteBatch", &BpfMap::DeleteBatch),
				   InstanceMethod("updateBatch", &BpfMap::UpdateBatch),
				   InstanceMethod("readRange", &BpfMap::ReadRange),
				   InstanceMethod("sumRange", &BpfMap::SumRange),
				   InstanceMethod("mmap", &BpfMap::Mmap),
				   InstanceMethod("pin", &BpfMap::Pin),
				   InstanceMethod("close", &BpfMap::Close),
			   });
}

BpfMap::BpfMap(const Napi::CallbackInfo &info) : ObjectWrap(info)
{
	Napi::Env env = info.Env();
	info.This().As<Napi::Object>().TypeTag(&kTag);
	fd_ = std::move(Environment::Of(env).pending_fd);
	if (!fd_.valid()) {
		ThrowArgument(env, "BpfMap", "use BpfObject.map or BpfMap.openPinned");
		return;
	}
	uint32_t length = sizeof(map_);
	int error = bpf_obj_get_info_by_fd(fd_.get(), &map_, &length);
	if (error) {
		ThrowErrno(env, error, "bpf_obj_get_info_by_fd");
		return;
	}
	value_bytes_ = map_.value_size;
	if (IsPerCpu(map_.type))
		value_bytes_ = RoundUp(map_.value_size, 8) * libbpf_num_possible_cpus();
	else if (map_.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || map_.type == BPF_MAP_TYPE_HASH_OF_MAPS)
		value_bytes_ = sizeof(uint32_t);
}

int BpfMap::Open(Napi::Env env, const char *call)
{
	if (!fd_.valid())
		ThrowClosed(env, call);
	return fd_.get();
}

MapShape BpfMap::Shape() const
{
	bool mmapable = map_.type == BPF_MAP_TYPE_ARRAY && (map_.map_flags & BPF_F_MMAPABLE) != 0;
	return {fd_.get(), map_.type, map_.key_size, value_bytes_, map_.max_entries, mmapable};
}

Napi::Value BpfMap::OpenPinned(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.openPinned");
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	Fd fd = OpenPin(path.c_str(), PinKind::kMap);
	if (!fd.valid()) {
		ThrowErrno(env, errno, "bpf_obj_get", nullptr, path);
		return {};
	}
	return Adopt(env, Environment::Of(env).map, std::move(fd));
}

Napi::Value BpfMap::Info(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (Open(env, "BpfMap.info") < 0)
		return {};
	Napi::Object result = Napi::Object::New(env);
	result.Set("id", map_.id);
	result.Set("type", map_.type);
	result.Set("name", map_.name);
	result.Set("keySize", map_.key_size);
	result.Set("valueSize", map_.value_size);
	result.Set("maxEntries", map_.max_entries);
	result.Set("flags", map_.map_flags);
	return result;
}

Napi::Value BpfMap::ValueBytes(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), value_bytes_);
}

Napi::Value BpfMap::Lookup(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.lookup");
	if (Open(env, args.call()) < 0)
		return {};
	Bytes key = args.View(info[0], "key", map_.key_size);
	if (args.failed())
		return {};
	Napi::Uint8Array value = Napi::Uint8Array::New(env, value_bytes_);
	int error = bpf_map_lookup_elem(fd_.get(), key.data, value.Data());
	if (error == 0)
		return value;
	if (error == -ENOENT)
		return env.Null();
	ThrowErrno(env, error, "bpf_map_lookup_elem", nullptr, map_.name);
	return {};
}

Napi::Value BpfMap::Update(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.update");
	if (Open(env, args.call()) < 0)
		return {};
	Bytes key = args.View(info[0], "key", map_.key_size);
	Bytes value = args.View(info[1], "value", value_bytes_);
	uint32_t flags = args.Number(info[2], "flags", 0, UINT32_MAX, BPF_ANY);
	if (args.failed())
		return {};
	int error = bpf_map_update_elem(fd_.get(), key.data, value.data, flags);
	if (error)
		ThrowErrno(env, error, "bpf_map_update_elem", nullptr, map_.name);
	return {};
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.delete");
	if (Open(env, args.call()) < 0)
		return {};
	Bytes key = args.View(info[0], "key", map_.key_size);
	if (args.failed())
		return {};
	int error = bpf_map_delete_elem(fd_.get(), key.data);
	if (error && error != -ENOENT) {
		ThrowErrno(env, error, "bpf_map_delete_elem", nullptr, map_.name);
		return {};
	}
	return Napi::Boolean::New(env, error == 0);
}

Napi::Value BpfMap::Entries(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	if (Open(env, "BpfMap.entries") < 0)
		return {};
	MapEntries entries;
	int error = ReadEntries(Shape(), entries);
	if (error) {
		ThrowErrno(env, error, "bpf_map_lookup_batch", nullptr, map_.name);
		return {};
	}
	return EntriesObject(env, entries);
}

Napi::Value BpfMap::EntriesFrom(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.entriesFrom");
	if (Open(env, args.call()) < 0)
		return {};
	if (map_.type == BPF_MAP_TYPE_HASH || map_.type == BPF_MAP_TYPE_LRU_HASH || IsPerCpu(map_.type)) {
		args.Fail(std::string(map_.name) + " is not walked by its keys");
		return {};
	}
	uint32_t limit = args.Number(info[1], "limit", 1, UINT32_MAX);
	std::vector<uint8_t> after;
	if (!info[0].IsNull()) {
		Bytes key = args.View(info[0], "cursor", map_.key_size);
		if (!args.failed())
			after.assign(key.data, key.data + map_.key_size);
	}
	if (args.failed())
		return {};
	MapEntries entries;
	bool end = false;
	int error = ReadEntriesFrom(Shape(), after, limit, entries, end);
	if (error) {
		ThrowErrno(env, error, "bpf_map_lookup_batch", nullptr, map_.name);
		return {};
	}
	Napi::Object result = EntriesObject(env, entries);
	if (end)
		result.Set("cursor", env.Null());
	else
		result.Set("cursor", MakeBytes(env, &entries.keys[entries.keys.size() - map_.key_size], map_.key_size));
	return result;
}

Napi::Value BpfMap::DeleteBatch(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.deleteBatch");
	if (Open(env, args.call()) < 0)
		return {};
	uint32_t count = args.Number(info[1], "count");
	Bytes keys = args.View(info[0], "keys", static_cast<size_t>(count) * map_.key_size);
	if (args.failed())
		return {};
	int error = DeleteEntries(Shape(), keys.data, count);
	if (error)
		ThrowErrno(env, error, "bpf_map_delete_batch", nullptr, map_.name);
	return {};
}

Napi::Value BpfMap::UpdateBatch(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.updateBatch");
	if (Open(env, args.call()) < 0)
		return {};
	uint32_t count = args.Number(info[2], "count");
	Bytes keys = args.View(info[0], "keys", static_cast<size_t>(count) * map_.key_size);
	Bytes values = args.View(info[1], "values", static_cast<size_t>(count) * value_bytes_);
	if (args.failed())
		return {};
	int error = UpdateEntries(Shape(), keys.data, values.data, count);
	if (error)
		ThrowErrno(env, error, "bpf_map_update_batch", nullptr, map_.name);
	return {};
}

bool BpfMap::Range(Args &args, const Napi::CallbackInfo &info, uint32_t &first, uint32_t &count)
{
	if (Open(info.Env(), args.call()) < 0)
		return false;
	if (!IsArray(map_.type)) {
		args.Fail(std::string(map_.name) + " is not an array map");
		return false;
	}
	first = args.Number(info[0], "first", 0, map_.max_entries);
	count = args.Number(info[1], "count", 0, map_.max_entries - first);
	return !args.failed();
}

Napi::Value BpfMap::ReadRange(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.readRange");
	uint32_t first = 0, count = 0;
	if (!Range(args, info, first, count))
		return {};
	Napi::Uint8Array values = Napi::Uint8Array::New(env, static_cast<size_t>(count) * value_bytes_);
	if (values.IsEmpty())
		return {};
	int error = ReadArray(Shape(), first, count, values.Data());
	if (error) {
		ThrowErrno(env, error, "bpf_map_lookup_batch", nullptr, map_.name);
		return {};
	}
	return values;
}

Napi::Value BpfMap::SumRange(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.sumRange");
	uint32_t first = 0, count = 0;
	if (!Range(args, info, first, count))
		return {};
	if (map_.type != BPF_MAP_TYPE_PERCPU_ARRAY || map_.value_size % 8 != 0) {
		args.Fail(std::string(map_.name) + " must be a per-CPU array of u64 words");
		return {};
	}
	uint32_t words = map_.value_size / 8;
	Napi::BigUint64Array sums = Napi::BigUint64Array::New(env, static_cast<size_t>(count) * words);
	if (sums.IsEmpty())
		return {};
	int error = SumArray(Shape(), first, count, words, sums.Data());
	if (error) {
		ThrowErrno(env, error, "bpf_map_lookup_batch", nullptr, map_.name);
		return {};
	}
	return sums;
}

Napi::Value BpfMap::Mmap(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int fd = Open(env, "BpfMap.mmap");
	if (fd < 0)
		return {};
	Napi::Value known = mapped_.Value();
	if (!known.IsEmpty())
		return known;
	/* Elements have a stride of 8 bytes; the mapping ends on a page, the buffer with the last element. */
	size_t size = RoundUp(map_.value_size, 8) * map_.max_entries;
	size_t mapped = RoundUp(size, sysconf(_SC_PAGESIZE));
	void *start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED) {
		ThrowErrno(env, errno, "mmap", nullptr, map_.name);
		return {};
	}
	Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(
		env, start, size, [mapped](Napi::BasicEnv, void *data) { munmap(data, mapped); });
	if (buffer.IsEmpty()) {
		munmap(start, mapped);
		return {};
	}
	mapped_ = Napi::Weak(buffer);
	return buffer;
}

Napi::Value BpfMap::Pin(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "BpfMap.pin");
	if (Open(env, args.call()) < 0)
		return {};
	std::string path = args.Text(info[0], "path");
	if (args.failed())
		return {};
	int error = bpf_obj_pin(fd_.get(), path.c_str());
	if (error)
		ThrowErrno(env, error, "bpf_obj_pin", nullptr, path);
	return {};
}

Napi::Value BpfMap::Close(const Napi::CallbackInfo &info)
{
	fd_.Close();
	return {};
}

} // namespace spillway
