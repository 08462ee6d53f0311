/* fillMaglev. */
#pragma once
#include <napi.h>

namespace spillway
{

Napi::Value FillMaglev(const Napi::CallbackInfo &info);

} // namespace spillway
