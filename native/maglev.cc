#include "maglev.h"
#include "args.h"

#include <cstring>
#include <vector>

namespace spillway
{

namespace
{

constexpr uint32_t kSlots = 65537;
constexpr size_t kTableBytes = 131080; /* struct maglev_table */

/* How one member walks the table; as packed by src/dataplane/maglev-fill.ts. */
struct Walk {
	uint32_t next;
	uint32_t skip;
	uint32_t weight;
	uint32_t backend;
};

/* The turns of fillMaglev in src/compile/maglev.ts, which is its reference: equal output is tested. */
void Fill(std::vector<Walk> &walks, uint16_t *slots)
{
	std::vector<uint32_t> credit(walks.size());
	std::vector<uint32_t> taken((kSlots + 31) / 32); /* 8 KB: stays in the first-level cache */
	uint32_t turn = 1, filled = 0;

	for (const Walk &walk : walks)
		turn = walk.weight > turn ? walk.weight : turn;
	while (filled < kSlots) {
		for (size_t i = 0; i < walks.size() && filled < kSlots; i++) {
			Walk &walk = walks[i];
			credit[i] += walk.weight;
			if (credit[i] < turn)
				continue;
			credit[i] -= turn;
			uint32_t slot = walk.next;
			while (taken[slot >> 5] >> (slot & 31) & 1) {
				slot += walk.skip;
				slot -= slot >= kSlots ? kSlots : 0;
			}
			taken[slot >> 5] |= 1u << (slot & 31);
			slots[slot] = walk.backend;
			walk.next = slot;
			filled++;
		}
	}
}

/* On a thread of the pool: several tables are filled at once, and the event loop goes on. */
class FillWorker : public Napi::AsyncWorker
{
      public:
	FillWorker(Napi::Env env, napi_deferred deferred, std::vector<Walk> walks)
	    : AsyncWorker(env, "spillway-maglev"), deferred_(deferred), walks_(std::move(walks)),
	      table_(kTableBytes / 2)
	{
	}

	void Execute() override
	{
		if (!walks_.empty())
			Fill(walks_, table_.data());
	}

	void OnOK() override
	{
		napi_resolve_deferred(Env(), deferred_, MakeBytes(Env(), table_.data(), kTableBytes));
	}

      private:
	napi_deferred deferred_;
	std::vector<Walk> walks_;
	std::vector<uint16_t> table_;
};

bool Valid(const std::vector<Walk> &walks)
{
	for (const Walk &walk : walks)
		if (walk.next >= kSlots || walk.skip == 0 || walk.skip >= kSlots || walk.weight == 0 ||
		    walk.weight > 1000000 || walk.backend > UINT16_MAX)
			return false;
	return true;
}

} // namespace

Napi::Value FillMaglev(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Args args(env, "fillMaglev");
	Bytes bytes = args.View(info[0], "walks");
	if (!args.failed() && bytes.size % sizeof(Walk))
		args.Fail("walks must hold 16 bytes for each member");
	if (args.failed())
		return {};
	std::vector<Walk> walks(bytes.size / sizeof(Walk));
	if (!walks.empty())
		memcpy(walks.data(), bytes.data, bytes.size);
	if (!Valid(walks))
		args.Fail("a walk has a slot, skip, weight or backend out of range");
	if (args.failed())
		return {};
	napi_deferred deferred;
	napi_value promise;
	if (napi_create_promise(env, &deferred, &promise) != napi_ok)
		return {};
	auto *worker = new FillWorker(env, deferred, std::move(walks));
	worker->Queue(); /* frees itself when done */
	return Napi::Value(env, promise);
}

} // namespace spillway
