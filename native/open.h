/* Opening an object file and preparing it for the verifier: globals, sizes, maps to reuse, programs to leave out. */
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

struct bpf_object;

namespace spillway
{

struct LoadOptions {
	std::map<std::string, std::vector<uint8_t>> rodata;
	std::map<std::string, uint32_t> max_entries;
	std::map<std::string, std::string> reuse;
	std::optional<std::vector<std::string>> programs;
	bool frags = false;
};

/* What went wrong, in the words of addon.d.ts; error 0 = nothing. */
struct Failure {
	int error = 0;
	const char *syscall = "";
	std::string detail;
};

/* The caller owns the object; nullptr with `failure` set when it could not be opened, prepared or loaded. */
bpf_object *OpenAndLoad(const std::string &path, const LoadOptions &options, Failure &failure);

} // namespace spillway
