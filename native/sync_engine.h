/* SyncEngine: SyncCore on UDP sockets, by a thread of its own. */
#pragma once
#include <memory>
#include <napi.h>

namespace spillway
{

class SyncCourier;

class SyncEngine : public Napi::ObjectWrap<SyncEngine>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit SyncEngine(const Napi::CallbackInfo &info);
	~SyncEngine() override;

      private:
	Napi::Value SetKeys(const Napi::CallbackInfo &info);
	Napi::Value SetRate(const Napi::CallbackInfo &info);
	Napi::Value SetPeers(const Napi::CallbackInfo &info);
	Napi::Value Admit(const Napi::CallbackInfo &info);
	Napi::Value Forget(const Napi::CallbackInfo &info);
	Napi::Value Control(const Napi::CallbackInfo &info);
	Napi::Value Counters(const Napi::CallbackInfo &info);
	Napi::Value Peers(const Napi::CallbackInfo &info);
	Napi::Value CpuNs(const Napi::CallbackInfo &info);
	Napi::Value SendError(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);
	/* nullptr with ERR_CLOSED pending. */
	std::shared_ptr<SyncCourier> Open(Napi::Env env, const char *call);

	Napi::ObjectReference table_;		 /* with its memory, as long as the thread runs */
	Napi::Reference<Napi::ArrayBuffer> log_; /* likewise */
	bool v6_ = false;
	uint16_t port_ = 0;
	std::shared_ptr<SyncCourier> courier_; /* its thread ends with close() or with this object */
};

} // namespace spillway
