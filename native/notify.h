/* notifySystemd: sd_notify(3) without its library. */
#pragma once
#include <napi.h>

namespace spillway
{

Napi::Value NotifySystemd(const Napi::CallbackInfo &info);

} // namespace spillway
