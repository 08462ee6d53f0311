/* Facts about this machine. */
#pragma once
#include <napi.h>

namespace spillway
{

Napi::Value AwaitPrograms(const Napi::CallbackInfo &info);
Napi::Value ReleaseFreeMemory(const Napi::CallbackInfo &info);
Napi::Value KernelHz(const Napi::CallbackInfo &info);
Napi::Value PossibleCpus(const Napi::CallbackInfo &info);
Napi::Value InterfaceIndex(const Napi::CallbackInfo &info);
Napi::Value InterfaceName(const Napi::CallbackInfo &info);
Napi::Value IsBpffs(const Napi::CallbackInfo &info);
Napi::Value MountBpffs(const Napi::CallbackInfo &info);
/* "1.1" */
std::string LibbpfVersion();

} // namespace spillway
