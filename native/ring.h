/* RingReader: drains a BPF ring buffer on a thread of its own. */
#pragma once
#include <memory>
#include <napi.h>

namespace spillway
{

class RingCourier;

class RingReader : public Napi::ObjectWrap<RingReader>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit RingReader(const Napi::CallbackInfo &info);
	~RingReader() override;

      private:
	Napi::Value Close(const Napi::CallbackInfo &info);

	std::shared_ptr<RingCourier> courier_; /* its thread ends with close() or with this object */
};

} // namespace spillway
