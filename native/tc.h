/* clsact filters in direct-action mode, and what is attached to a device. */
#pragma once
#include "args.h"
#include "error.h"

#include <cstdint>
#include <napi.h>

namespace spillway
{

struct TcFilter {
	int ifindex = 0;
	bool egress = false;
	uint32_t handle = 0;
	uint32_t priority = 0;
};

/* The first four arguments of attachTc, detachTc and queryTc. */
TcFilter ReadFilter(Args &args, const Napi::CallbackInfo &info);
/* 0 or a negative errno; `syscall` says which step failed. */
int AttachFilter(const TcFilter &filter, int program_fd, CallLog &log, const char **syscall);

Napi::Value DetachTc(const Napi::CallbackInfo &info);
Napi::Value QueryTc(const Napi::CallbackInfo &info);
Napi::Value QueryXdp(const Napi::CallbackInfo &info);

} // namespace spillway
