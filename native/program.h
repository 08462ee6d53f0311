/* BpfProgram: one loaded program by descriptor. */
#pragma once
#include "environment.h"

#include <napi.h>

namespace spillway
{

class BpfProgram : public Napi::ObjectWrap<BpfProgram>
{
      public:
	static constexpr napi_type_tag kTag = {0x7370696c6c776179, 0x0000000000000002};
	static constexpr const char *kName = "BpfProgram";
	static Napi::Function Define(Napi::Env env);
	explicit BpfProgram(const Napi::CallbackInfo &info);

	/* -1 with ERR_CLOSED pending after close(). */
	int Open(Napi::Env env, const char *call);

      private:
	static Napi::Value OpenPinned(const Napi::CallbackInfo &info);
	Napi::Value Info(const Napi::CallbackInfo &info);
	Napi::Value Pin(const Napi::CallbackInfo &info);
	Napi::Value TestRun(const Napi::CallbackInfo &info);
	Napi::Value Inject(const Napi::CallbackInfo &info);
	Napi::Value AttachXdp(const Napi::CallbackInfo &info);
	Napi::Value AttachTc(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);

	Fd fd_;
};

Napi::Value ProgramMaps(const Napi::CallbackInfo &info);

} // namespace spillway
