#include "environment.h"
#include "error.h"
#include "link.h"
#include "map.h"
#include "migrate.h"
#include "netlink.h"
#include "notify.h"
#include "object.h"
#include "prober.h"
#include "program.h"
#include "ring.h"
#include "maglev.h"
#include "sweep.h"
#include "sync_engine.h"
#include "sync_simulation.h"
#include "sync_table.h"
#include "system.h"
#include "tc.h"

namespace spillway
{

namespace
{

/* Runs for each environment: the main thread and every worker that loads the addon. */
Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	InstallPrint();
	auto *environment = new Environment; /* freed with the environment */
	env.SetInstanceData(environment);

	Napi::Function object = BpfObject::Define(env), map = BpfMap::Define(env);
	Napi::Function program = BpfProgram::Define(env), link = BpfLink::Define(env);
	environment->object = Napi::Persistent(object);
	environment->map = Napi::Persistent(map);
	environment->program = Napi::Persistent(program);
	environment->link = Napi::Persistent(link);

	exports.Set("BpfObject", object);
	exports.Set("BpfMap", map);
	exports.Set("BpfProgram", program);
	exports.Set("BpfLink", link);
	exports.Set("RingReader", RingReader::Define(env));
	exports.Set("NetlinkSocket", NetlinkSocket::Define(env));
	exports.Set("Prober", Prober::Define(env));
	exports.Set("detachTc", Napi::Function::New<DetachTc>(env, "detachTc"));
	exports.Set("queryTc", Napi::Function::New<QueryTc>(env, "queryTc"));
	exports.Set("queryXdp", Napi::Function::New<QueryXdp>(env, "queryXdp"));
	exports.Set("fillMaglev", Napi::Function::New<FillMaglev>(env, "fillMaglev"));
	exports.Set("sweepSessions", Napi::Function::New<SweepSessions>(env, "sweepSessions"));
	exports.Set("clearSlot", Napi::Function::New<ClearSlot>(env, "clearSlot"));
	exports.Set("awaitPrograms", Napi::Function::New<AwaitPrograms>(env, "awaitPrograms"));
	exports.Set("migrateSessions", Napi::Function::New<MigrateSessions>(env, "migrateSessions"));
	exports.Set("programMaps", Napi::Function::New<ProgramMaps>(env, "programMaps"));
	exports.Set("SyncTable", SyncTable::Define(env));
	exports.Set("SyncCore", SyncCoreObject::Define(env));
	exports.Set("SyncEngine", SyncEngine::Define(env));
	exports.Set("syncMac", Napi::Function::New<SyncMac>(env, "syncMac"));
	exports.Set("notifySystemd", Napi::Function::New<NotifySystemd>(env, "notifySystemd"));
	exports.Set("releaseFreeMemory", Napi::Function::New<ReleaseFreeMemory>(env, "releaseFreeMemory"));
	exports.Set("kernelHz", Napi::Function::New<KernelHz>(env, "kernelHz"));
	exports.Set("possibleCpus", Napi::Function::New<PossibleCpus>(env, "possibleCpus"));
	exports.Set("interfaceIndex", Napi::Function::New<InterfaceIndex>(env, "interfaceIndex"));
	exports.Set("interfaceName", Napi::Function::New<InterfaceName>(env, "interfaceName"));
	exports.Set("isBpffs", Napi::Function::New<IsBpffs>(env, "isBpffs"));
	exports.Set("mountBpffs", Napi::Function::New<MountBpffs>(env, "mountBpffs"));
	exports.Set("libbpfVersion", LibbpfVersion());
	return exports;
}

} // namespace

} // namespace spillway

static Napi::Object Register(Napi::Env env, Napi::Object exports)
{
	return spillway::Init(env, exports);
}

NODE_API_MODULE(spillway, Register)
