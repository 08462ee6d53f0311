/** In a network namespace of its own: RTNLGRP_LINK tells of an interface that comes and goes. */
import { execFileSync } from 'node:child_process';
import { interfaceIndex, NetlinkSocket } from '../../../src/dataplane/addon.js';
import { waitUntil } from '../fixture.js';
import { messages, RTM_DELLINK, RTM_NEWLINK } from '../netlink-messages.js';

const RTNLGRP_LINK = 1;
const seen: { type: number; ifindex: number }[] = [];

const socket = new NetlinkSocket([RTNLGRP_LINK], (datagram) => {
  for (const { type, body } of messages(datagram!)) seen.push({ type, ifindex: body.getInt32(4, true) });
});
const has = (type: number, ifindex: number) => seen.some((each) => each.type === type && each.ifindex === ifindex);

execFileSync('ip', ['link', 'add', 'nat0', 'type', 'veth', 'peer', 'name', 'nat1']);
const ifindex = interfaceIndex('nat0')!;
await waitUntil(() => has(RTM_NEWLINK, ifindex), 'RTM_NEWLINK');
execFileSync('ip', ['link', 'del', 'nat0']);
await waitUntil(() => has(RTM_DELLINK, ifindex), 'RTM_DELLINK');
socket.close();
console.log(JSON.stringify({ added: true, removed: true }));
