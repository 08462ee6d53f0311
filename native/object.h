/* BpfObject: a loaded object file. */
#pragma once
#include <napi.h>

struct bpf_object;

namespace spillway
{

class BpfObject : public Napi::ObjectWrap<BpfObject>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit BpfObject(const Napi::CallbackInfo &info);
	~BpfObject() override;

      private:
	static Napi::Value Load(const Napi::CallbackInfo &info);
	Napi::Value Map(const Napi::CallbackInfo &info);
	Napi::Value Program(const Napi::CallbackInfo &info);
	Napi::Value MapNames(const Napi::CallbackInfo &info);
	Napi::Value ProgramNames(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);
	bool Open(Napi::Env env, const char *call);

	bpf_object *object_;
};

} // namespace spillway
