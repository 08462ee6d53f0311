/* SyncTable: the store as JS has it. */
#pragma once
#include "environment.h"
#include "sync_store.h"

#include <napi.h>

namespace spillway
{

class SyncTable : public Napi::ObjectWrap<SyncTable>
{
      public:
	static constexpr napi_type_tag kTag = {0x7370696c6c776179, 0x0000000000000003};
	static constexpr const char *kName = "SyncTable";
	static Napi::Function Define(Napi::Env env);
	explicit SyncTable(const Napi::CallbackInfo &info);

	/* Its memory lasts as long as this object: who uses it keeps a reference. */
	std::shared_ptr<SyncStore> store() const
	{
		return store_;
	}

      private:
	Napi::Value SetDictionary(const Napi::CallbackInfo &info);
	Napi::Value SetClock(const Napi::CallbackInfo &info);
	Napi::Value Digest(const Napi::CallbackInfo &info);
	Napi::Value Export(const Napi::CallbackInfo &info);
	Napi::Value Import(const Napi::CallbackInfo &info);

	Napi::Reference<Napi::ArrayBuffer> sessions_, details_;
	std::shared_ptr<SyncStore> store_;
};

} // namespace spillway
