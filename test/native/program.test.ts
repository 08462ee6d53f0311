import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import {
  BpfLink,
  BpfProgram,
  detachTc,
  interfaceIndex,
  interfaceName,
  isBpffs,
  kernelHz,
  libbpfVersion,
  mountBpffs,
  queryTc,
  queryXdp,
} from '../../src/dataplane/addon.js';
import { loadSample, nativeError, pinDirectory, u32, waitUntil } from './fixture.js';

const HANDLE = 1;
const PRIORITY = 50;

/** An interface in this namespace, which no packet uses; removed at the end. Names carry the pid of their owner. */
function ownInterface(t: ExecutionContext): number {
  for (const name of readdirSync('/sys/class/net')) {
    const owner = /^nat(\d+)a$/.exec(name)?.[1];
    if (owner !== undefined && !readdirSync('/proc').includes(owner)) execFileSync('ip', ['link', 'del', name]);
  }
  const [name, peer] = [`nat${process.pid}a`, `nat${process.pid}b`];
  execFileSync('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', peer]);
  t.teardown(() => execFileSync('ip', ['link', 'del', name]));
  return interfaceIndex(name)!;
}

test.serial('a link attaches, is exchanged in one step, survives in its pin, and detaches', (t) => {
  const ifindex = ownInterface(t);
  const directory = pinDirectory(t);
  const object = loadSample(t);
  const [drop, sum] = [object.program('drop'), object.program('sum')];
  t.is(queryXdp(ifindex), null);

  const link = drop.attachXdp(ifindex, 'native');
  t.deepEqual(queryXdp(ifindex), { mode: 'native', programId: drop.info.id });
  t.deepEqual({ ...link.info, id: 0 }, { id: 0, programId: drop.info.id, ifindex });
  const busy = nativeError(t, () => sum.attachXdp(ifindex, 'native'));
  t.is(busy.code, 'EBUSY');
  t.is(busy.syscall, 'bpf_link_create');

  link.update(sum);
  t.is(queryXdp(ifindex)?.programId, sum.info.id);
  link.pin(`${directory}/link`);
  link.close();
  link.close();
  t.is(nativeError(t, () => link.update(drop)).code, 'ERR_CLOSED');
  t.is(queryXdp(ifindex)?.programId, sum.info.id, 'the pin keeps it');

  const again = BpfLink.openPinned(`${directory}/link`);
  again.update(drop);
  t.is(again.info.programId, drop.info.id);
  again.detach();
  t.is(queryXdp(ifindex), null);
  t.is(again.info.ifindex, 0);
});

test.serial('an unpinned link ends when it is closed, and generic mode is told from native', (t) => {
  const ifindex = ownInterface(t);
  const program = loadSample(t).program('drop');
  const link = program.attachXdp(ifindex, 'generic');
  t.deepEqual(queryXdp(ifindex), { mode: 'generic', programId: program.info.id });
  link.close();
  t.is(queryXdp(ifindex), null);
});

test.serial(
  'a frame that is put in goes the way that the program says: back by the interface that it names',
  async (t) => {
    const ifindex = ownInterface(t);
    const [name, peer] = [`nat${process.pid}a`, `nat${process.pid}b`];
    execFileSync('sysctl', ['-qw', `net.ipv6.conf.${name}.disable_ipv6=1`, `net.ipv6.conf.${peer}.disable_ipv6=1`]);
    for (const one of [name, peer]) execFileSync('ip', ['link', 'set', one, 'up']);
    const received = (): number => Number(readFileSync(`/sys/class/net/${peer}/statistics/rx_packets`, 'utf8'));
    const object = loadSample(t);
    /* The driver sends what XDP hands it only while its other end runs a program, too. */
    const links = [ifindex, interfaceIndex(peer)!].map((one) => object.program('drop').attachXdp(one, 'native'));
    const before = received();
    object.program('bounce').inject(new Uint8Array(60), { ifindex, queue: 0 });
    object.program('drop').inject(new Uint8Array(60), { ifindex, queue: 0 });
    await waitUntil(() => received() > before, 'the frame arrives');
    t.is(received(), before + 1);
    const inject = object.program('bounce').inject.bind(object.program('bounce')) as (...values: unknown[]) => void;
    for (const bad of [
      [],
      [null, { ifindex, queue: 0 }],
      [new Uint8Array(60)],
      [new Uint8Array(60), { ifindex: -1, queue: 0 }],
    ])
      t.is(nativeError(t, () => inject(...bad)).code, 'ERR_ARG');
    t.is(nativeError(t, () => inject(new Uint8Array(60), { ifindex: 999_999, queue: 0 })).code, 'ENODEV');
    for (const link of links) link.close();
  },
);

test.serial('a link takes only a program of its kind', (t) => {
  const ifindex = ownInterface(t);
  const object = loadSample(t);
  const link = object.program('drop').attachXdp(ifindex, 'native');
  t.is(nativeError(t, () => link.update(object.program('classify'))).code, 'EINVAL');
  const update = link.update.bind(link) as (value: unknown) => void;
  for (const value of [null, {}, object.map('plain'), Object.create(BpfProgram.prototype)])
    t.is(nativeError(t, () => update(value)).code, 'ERR_ARG');
  const [program, noIndex] = [object.program('drop'), 999_999];
  t.is(nativeError(t, () => program.attachXdp(noIndex, 'native')).code, 'EINVAL');
  t.is(nativeError(t, () => program.attachXdp(ifindex, 'fast' as 'native')).code, 'ERR_ARG');
  t.is(queryXdp(noIndex), null);
  link.close();
});

test.serial('a tc filter is attached, replaced, seen and removed, each direction on its own', (t) => {
  const ifindex = ownInterface(t);
  const [first, second] = [loadSample(t).program('classify'), loadSample(t).program('classify')];
  t.is(queryTc(ifindex, 'egress', HANDLE, PRIORITY), null);
  t.false(detachTc(ifindex, 'egress', HANDLE, PRIORITY));

  first.attachTc(ifindex, 'egress', HANDLE, PRIORITY);
  t.is(queryTc(ifindex, 'egress', HANDLE, PRIORITY), first.info.id);
  t.is(queryTc(ifindex, 'ingress', HANDLE, PRIORITY), null);
  t.is(queryTc(ifindex, 'egress', HANDLE, PRIORITY + 1), null);
  second.attachTc(ifindex, 'egress', HANDLE, PRIORITY);
  t.is(queryTc(ifindex, 'egress', HANDLE, PRIORITY), second.info.id);
  first.attachTc(ifindex, 'ingress', HANDLE, PRIORITY);

  t.true(detachTc(ifindex, 'egress', HANDLE, PRIORITY));
  t.false(detachTc(ifindex, 'egress', HANDLE, PRIORITY));
  t.is(queryTc(ifindex, 'egress', HANDLE, PRIORITY), null);
  t.is(queryTc(ifindex, 'ingress', HANDLE, PRIORITY), first.info.id);
});

test.serial('a program loaded with frags may be attached where frames are larger than a page', (t) => {
  const ifindex = ownInterface(t);
  for (const end of ['a', 'b']) execFileSync('ip', ['link', 'set', `nat${process.pid}${end}`, 'mtu', '9000']);
  t.is(nativeError(t, () => loadSample(t).program('drop').attachXdp(ifindex, 'native')).code, 'ERANGE');
  const link = loadSample(t, { frags: true }).program('drop').attachXdp(ifindex, 'native');
  t.is(queryXdp(ifindex)?.mode, 'native');
  link.close();
});

test.serial("a filter that the kernel refuses throws with the kernel's own words", (t) => {
  const ifindex = ownInterface(t);
  const [classify, drop] = [loadSample(t).program('classify'), loadSample(t).program('drop')];
  t.is(nativeError(t, () => drop.attachTc(ifindex, 'egress', HANDLE, PRIORITY)).code, 'EINVAL');
  // One priority holds filters of one protocol; ours are for all of them.
  const path = `${pinDirectory(t)}/classify`;
  classify.pin(path);
  const filter = `dev nat${process.pid}a egress pref ${PRIORITY} protocol ip bpf direct-action object-pinned ${path}`;
  execFileSync('tc', ['filter', 'add', ...filter.split(' ')]);
  const error = nativeError(t, () => classify.attachTc(ifindex, 'egress', HANDLE, PRIORITY));
  t.is(error.syscall, 'bpf_tc_attach');
  t.regex(error.log ?? '', /^libbpf: Kernel error message: .*filter.*\n$/i);
  t.is(nativeError(t, () => queryTc(999_999, 'egress', HANDLE, PRIORITY)).code, 'ENODEV');
  t.is(nativeError(t, () => detachTc(ifindex, 'sideways' as 'egress', HANDLE, PRIORITY)).code, 'ERR_ARG');
});

test('a test run gives verdict, frame and time', (t) => {
  const program = loadSample(t).program('sum');
  const data = new Uint8Array(100).fill(7);
  const once = program.testRun({ data });
  t.is(once.retval, 6);
  t.deepEqual(once.data, data);
  t.is(once.ctx, null);
  t.true(program.testRun({ data, repeat: 100_000 }).durationNs > 0);
  t.is(nativeError(t, () => program.testRun({ data, outBytes: 10 })).code, 'ENOSPC');
  t.is(nativeError(t, () => program.testRun({ data: new Uint8Array(5) })).code, 'EINVAL');
  t.is(nativeError(t, () => program.testRun({ data: 'x' as unknown as Uint8Array })).code, 'ERR_ARG');
});

test('a context given to a test run comes back', (t) => {
  // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
  const ctx = new Uint8Array(Uint32Array.of(0, 64, 0, 0, 0, 0).buffer);
  const result = loadSample(t)
    .program('sum')
    .testRun({ data: new Uint8Array(64), ctx });
  t.deepEqual(result.ctx, ctx);
});

test('a program without a frame works on its context', (t) => {
  const result = loadSample(t)
    .program('answer')
    .testRun({ ctx: u32(41, 0) });
  t.like(result, { retval: 5, data: new Uint8Array(0), ctx: u32(41, 42) });
});

test('a program tells what it is', (t) => {
  const { info } = loadSample(t).program('sum');
  t.is(info.name, 'sum');
  t.is(info.type, 6);
  t.regex(info.tag, /^[0-9a-f]{16}$/);
  t.true(info.id > 0 && info.jitedBytes >= 0 && info.verifiedInstructions > 0);
  t.is(typeof info.runCount, 'bigint');
});

test('facts about the machine', (t) => {
  t.true([100, 250, 300, 1000].includes(kernelHz()), `${kernelHz()} Hz`);
  t.regex(libbpfVersion, /^\d+\.\d+$/);
  t.is(interfaceName(interfaceIndex('lo')!), 'lo');
  t.is(interfaceIndex('nat-absent'), null);
  t.is(interfaceName(999_999), null);
  t.true(isBpffs('/sys/fs/bpf'));
  t.false(isBpffs('/tmp'));
  t.false(isBpffs('/nonexistent'));
  t.is(nativeError(t, () => mountBpffs('/sys/fs/bpf')).code, 'EBUSY');
  t.is(nativeError(t, () => mountBpffs('/nonexistent')).code, 'ENOENT');
});
