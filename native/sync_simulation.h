/* SyncCore as JS has it, for simulation and fuzzing; and the MAC alone. */
#pragma once
#include "sync_core.h"

#include <napi.h>

namespace spillway
{

class SyncCoreObject : public Napi::ObjectWrap<SyncCoreObject>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit SyncCoreObject(const Napi::CallbackInfo &info);

      private:
	Napi::Value SetKeys(const Napi::CallbackInfo &info);
	Napi::Value SetRate(const Napi::CallbackInfo &info);
	Napi::Value Admit(const Napi::CallbackInfo &info);
	Napi::Value Forget(const Napi::CallbackInfo &info);
	Napi::Value Receive(const Napi::CallbackInfo &info);
	Napi::Value ReceiveAll(const Napi::CallbackInfo &info);
	Napi::Value Control(const Napi::CallbackInfo &info);
	Napi::Value Poll(const Napi::CallbackInfo &info);
	Napi::Value Events(const Napi::CallbackInfo &info);
	Napi::Value Counters(const Napi::CallbackInfo &info);
	Napi::Value Peers(const Napi::CallbackInfo &info);

	Napi::ObjectReference table_;
	Napi::Reference<Napi::ArrayBuffer> log_;
	std::unique_ptr<SyncCore> core_;
};

Napi::Value SyncMac(const Napi::CallbackInfo &info);

} // namespace spillway
