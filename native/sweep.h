/* sweepSessions and clearSlot. */
#pragma once
#include <napi.h>

namespace spillway
{

Napi::Value SweepSessions(const Napi::CallbackInfo &info);
Napi::Value ClearSlot(const Napi::CallbackInfo &info);

} // namespace spillway
