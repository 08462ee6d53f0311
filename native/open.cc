#include "open.h"
#include "fd.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <memory>

namespace spillway
{

namespace
{

struct CloseObject {
	void operator()(bpf_object *object) const
	{
		bpf_object__close(object);
	}
};

/* The place of a `const volatile` global in the initial image of .rodata, found through the section's BTF. */
const btf_var_secinfo *FindRodata(const btf *types, const std::string &name)
{
	int section = types != nullptr ? btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC) : -1;
	if (section < 0)
		return nullptr;
	const btf_type *type = btf__type_by_id(types, section);
	const btf_var_secinfo *variable = btf_var_secinfos(type);
	for (int index = 0; index < btf_vlen(type); index++, variable++) {
		const btf_type *global = btf__type_by_id(types, variable->type);
		if (name == btf__name_by_offset(types, global->name_off))
			return variable;
	}
	return nullptr;
}

Failure SetRodata(bpf_object *object, const std::string &name, const std::vector<uint8_t> &bytes)
{
	const btf_var_secinfo *variable = FindRodata(bpf_object__btf(object), name);
	bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	if (variable == nullptr || map == nullptr)
		return {ENOENT, "rodata", "no const volatile global named " + name};
	if (variable->size != bytes.size())
		return {EINVAL, "rodata",
			name + " has " + std::to_string(variable->size) + " bytes, not " +
				std::to_string(bytes.size())};
	size_t size = 0;
	const auto *image = static_cast<const char *>(bpf_map__initial_value(map, &size));
	if (image == nullptr || variable->offset + variable->size > size)
		return {EINVAL, "rodata", name + " lies outside of .rodata"};
	std::string changed(image, size);
	memcpy(&changed[variable->offset], bytes.data(), bytes.size());
	return {bpf_map__set_initial_value(map, changed.data(), changed.size()), "bpf_map__set_initial_value", name};
}

Failure SetMaxEntries(bpf_object *object, const std::string &name, uint32_t entries)
{
	bpf_map *map = bpf_object__find_map_by_name(object, name.c_str());
	if (map == nullptr)
		return {ENOENT, "maxEntries", "no map named " + name};
	return {bpf_map__set_max_entries(map, entries), "bpf_map__set_max_entries", name};
}

/* libbpf's own refusal of a pin with another shape is a bare EINVAL: this one names the field. */
std::string Difference(const bpf_map *want, const bpf_map_info &have)
{
	struct {
		const char *field;
		uint32_t want, have;
	} fields[] = {
		{"type", bpf_map__type(want), have.type},
		{"key size", bpf_map__key_size(want), have.key_size},
		{"value size", bpf_map__value_size(want), have.value_size},
		{"max entries", bpf_map__max_entries(want), have.max_entries},
		{"flags", bpf_map__map_flags(want), have.map_flags},
	};
	std::string text;
	for (const auto &field : fields)
		if (field.want != field.have)
			text += (text.empty() ? "" : ", ") + std::string(field.field) + " is " +
				std::to_string(field.have) + " where the object has " + std::to_string(field.want);
	return text;
}

Failure Reuse(bpf_object *object, const std::string &name, const std::string &path)
{
	bpf_map *map = bpf_object__find_map_by_name(object, name.c_str());
	if (map == nullptr)
		return {ENOENT, "reuse", "no map named " + name};
	Fd fd = OpenPin(path.c_str(), PinKind::kMap);
	if (!fd.valid())
		return {errno, "bpf_obj_get", path};
	bpf_map_info info = {};
	uint32_t length = sizeof(info);
	int error = bpf_obj_get_info_by_fd(fd.get(), &info, &length);
	if (error)
		return {error, "bpf_obj_get_info_by_fd", path};
	std::string difference = Difference(map, info);
	if (!difference.empty())
		return {EINVAL, "reuse", path + ": " + difference};
	return {bpf_map__reuse_fd(map, fd.get()), "bpf_map__reuse_fd", path}; /* takes a duplicate */
}

Failure ChoosePrograms(bpf_object *object, const LoadOptions &options)
{
	bpf_program *program;
	if (options.programs)
		for (const std::string &name : *options.programs)
			if (bpf_object__find_program_by_name(object, name.c_str()) == nullptr)
				return {ENOENT, "programs", "no program named " + name};
	bpf_object__for_each_program(program, object)
	{
		const char *name = bpf_program__name(program);
		if (options.programs &&
		    std::find(options.programs->begin(), options.programs->end(), name) == options.programs->end()) {
			bpf_program__set_autoload(program, false);
			continue;
		}
		if (options.frags && bpf_program__type(program) == BPF_PROG_TYPE_XDP) {
			int error = bpf_program__set_flags(program, bpf_program__flags(program) | BPF_F_XDP_HAS_FRAGS);
			if (error)
				return {error, "bpf_program__set_flags", name};
		}
	}
	return {};
}

Failure Prepare(bpf_object *object, const LoadOptions &options)
{
	Failure failure;
	for (const auto &[name, bytes] : options.rodata)
		if ((failure = SetRodata(object, name, bytes)).error)
			return failure;
	for (const auto &[name, entries] : options.max_entries)
		if ((failure = SetMaxEntries(object, name, entries)).error)
			return failure;
	for (const auto &[name, path] : options.reuse)
		if ((failure = Reuse(object, name, path)).error)
			return failure;
	return ChoosePrograms(object, options);
}

} // namespace

bpf_object *OpenAndLoad(const std::string &path, const LoadOptions &options, Failure &failure)
{
	std::unique_ptr<bpf_object, CloseObject> object(bpf_object__open_file(path.c_str(), nullptr));
	if (!object) {
		failure = {errno, "bpf_object__open_file", path};
		return nullptr;
	}
	failure = Prepare(object.get(), options);
	if (failure.error)
		return nullptr;
	failure = {bpf_object__load(object.get()), "bpf_object__load", path};
	return failure.error ? nullptr : object.release();
}

} // namespace spillway
