/* Prober: non-blocking probes for health checks. */
#pragma once
#include <memory>
#include <napi.h>

namespace spillway
{

class ProbeDesk;

class Prober : public Napi::ObjectWrap<Prober>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit Prober(const Napi::CallbackInfo &info);
	~Prober() override;

      private:
	Napi::Value Start(const Napi::CallbackInfo &info);
	Napi::Value Cancel(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);

	std::shared_ptr<ProbeDesk> desk_; /* its thread ends with close() or with this object */
};

} // namespace spillway
