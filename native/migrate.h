/* migrateSessions. */
#pragma once
#include <napi.h>

namespace spillway
{

Napi::Value MigrateSessions(const Napi::CallbackInfo &info);

} // namespace spillway
