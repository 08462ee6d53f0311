/* BpfLink: an attachment by descriptor. Unpinned, it ends with its last descriptor. */
#pragma once
#include "environment.h"

#include <napi.h>

namespace spillway
{

class BpfLink : public Napi::ObjectWrap<BpfLink>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit BpfLink(const Napi::CallbackInfo &info);

      private:
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);
	Napi::Value Info(const Napi::CallbackInfo &info);
	Napi::Value Update(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
	Napi::Value Detach(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);
	bool Open(Napi::Env env, const char *call);

	Fd fd_;
};

} // namespace spillway
