/* NetlinkSocket: a NETLINK_ROUTE socket, received on a thread of its own. */
#pragma once
#include <memory>
#include <napi.h>

namespace spillway
{

class NetlinkCourier;

class NetlinkSocket : public Napi::ObjectWrap<NetlinkSocket>
{
      public:
	static Napi::Function Define(Napi::Env env);
	explicit NetlinkSocket(const Napi::CallbackInfo &info);
	~NetlinkSocket() override;

      private:
	Napi::Value Send(const Napi::CallbackInfo &info);
	Napi::Value Close(const Napi::CallbackInfo &info);

	std::shared_ptr<NetlinkCourier> courier_; /* its thread ends with close() or with this object */
};

} // namespace spillway
