import test from 'ava';
import { interfaceIndex, NetlinkSocket } from '../../src/dataplane/addon.js';
import { nativeError, runChild, waitUntil } from './fixture.js';
import { dumpLinks, messages, NLMSG_DONE, NLMSG_ERROR, RTM_NEWLINK } from './netlink-messages.js';

test('a dump of the interfaces arrives in datagrams of whole messages', async (t) => {
  const found = new Set<number>();
  let done = false;
  const socket = new NetlinkSocket([], (datagram, overrun) => {
    t.false(overrun);
    for (const { type, body } of messages(datagram!)) {
      if (type === RTM_NEWLINK) found.add(body.getInt32(4, true));
      if (type === NLMSG_DONE) done = true;
    }
  });
  t.teardown(() => socket.close());
  socket.send(dumpLinks(1));
  await waitUntil(() => done, 'NLMSG_DONE');
  t.true(found.has(interfaceIndex('lo')!));
});

test("the kernel's refusal of a request comes as a message", async (t) => {
  const errors: number[] = [];
  const socket = new NetlinkSocket([], (datagram) => {
    for (const { type, body } of messages(datagram!)) if (type === NLMSG_ERROR) errors.push(body.getInt32(0, true));
  });
  t.teardown(() => socket.close());
  const request = dumpLinks(2);
  new DataView(request.buffer).setUint16(4, 9999, true);
  socket.send(request);
  await waitUntil(() => errors.length > 0, 'NLMSG_ERROR');
  t.deepEqual(errors, [-95]);
});

test('groups that were joined tell of changes', async (t) => {
  t.deepEqual(await runChild('netlink-group', { ownNetwork: true }), { added: true, removed: true });
});

test('nothing is delivered after close', async (t) => {
  let closed = false;
  let after = 0;
  const socket = new NetlinkSocket([], () => {
    if (closed) after++;
  });
  for (let round = 0; round < 20; round++) socket.send(dumpLinks(round));
  socket.close();
  closed = true;
  socket.close();
  t.is(nativeError(t, () => socket.send(dumpLinks(0))).code, 'ERR_CLOSED');
  let other = 0;
  const next = new NetlinkSocket([], () => other++);
  next.send(dumpLinks(1));
  await waitUntil(() => other > 0, 'an answer to the next socket');
  next.close();
  t.is(after, 0);
});

test('wrong groups and messages are refused', (t) => {
  const build = (...values: unknown[]) => nativeError(t, () => Reflect.construct(NetlinkSocket, values));
  t.is(build([1023], () => {}).code, 'EINVAL');
  t.is(build([1023], () => {}).syscall, 'setsockopt');
  t.is(build([0], () => {}).code, 'ERR_ARG');
  t.is(build('x', () => {}).code, 'ERR_ARG');
  t.is(build([]).code, 'ERR_ARG');
  const socket = new NetlinkSocket([], () => {});
  t.teardown(() => socket.close());
  t.is(nativeError(t, () => socket.send('x' as unknown as Uint8Array)).code, 'ERR_ARG');
});
