import test from 'ava';
import fc from 'fast-check';
import { readBfdSessions, readProtocols, timeOf } from '../../../src/bgp/protocols.js';
import { type Reply, ReplyReader } from '../../../src/bgp/replies.js';

function read(text: string): Reply {
  const replies = new ReplyReader().push(text);
  if (replies.length !== 1) throw new Error(`${replies.length} replies`);
  return replies[0]!;
}

/** As BIRD 2.0.12 said it. */
const protocols = `2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     2026-11-21 08:12:30.413  
1006-
1002-spillway4  Static     master4    up     2026-11-21 08:12:30.413  
1006-  Channel ipv4
     State:          UP
     Routes:         2 imported, 0 exported, 2 preferred
     Route change stats:     received   rejected   filtered    ignored   accepted
       Import updates:              2          0          0          0          2
 
1002-peer_10_0_0_2 BGP        ---        up     2026-11-21 08:12:31.328  Established   
1006-  BGP state:          Established
     Neighbor address: 10.0.0.2
   Channel ipv4
     State:          UP
     Routes:         0 imported, 2 exported, 0 preferred
 
1002-peer_fd00__2 BGP        ---        start  2026-11-21 08:12:30.413  Active        Socket: Connection refused
1006-  BGP state:          Active
   Channel ipv6
     State:          DOWN
 
1002-peer_10_0_0_3 BGP        ---        down   2026-11-21 08:12:30.413  
1006-
0000 
`;

test('replies are read whatever the pieces that they come in', (t) => {
  const whole = read(protocols);
  fc.assert(
    fc.property(fc.array(fc.nat({ max: protocols.length })), (cuts) => {
      const reader = new ReplyReader();
      const at = [0, ...cuts.sort((a, b) => a - b), protocols.length];
      const replies = at.slice(1).flatMap((end, index) => reader.push(protocols.slice(at[index]!, end)));
      t.deepEqual(replies, [whole]);
    }),
  );
});

test('several replies in one piece are told apart, what is said unasked is left out', (t) => {
  t.deepEqual(new ReplyReader().push('0001 BIRD 2.0.12 ready.\n+0005-log line\n0002-Reading\n0003 Reconfigured\n'), [
    [{ code: 1, text: 'BIRD 2.0.12 ready.' }],
    [
      { code: 2, text: 'Reading' },
      { code: 3, text: 'Reconfigured' },
    ],
  ]);
});

test('what is not the protocol is refused, and nothing else is thrown', (t) => {
  for (const text of ['HTTP/1.1 400 Bad Request\r\n', ' early\n', '\n', '12 x\n', '00011 x\n', 'x'.repeat(70_000)]) {
    t.throws(() => new ReplyReader().push(text), { instanceOf: Error }, JSON.stringify(text.slice(0, 20)));
  }
  const endless = new ReplyReader();
  t.throws(
    () => {
      for (let i = 0; i < 1000; i++) endless.push(`1000-${'x'.repeat(60_000)}\n`);
    },
    { message: /a reply of more than/ },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        new ReplyReader().push(text);
        t.pass();
      } catch (error) {
        t.regex((error as Error).message, /BIRD|more than/);
      }
    }),
  );
});

test('protocols are read: state, since, routes, last error', (t) => {
  const found = readProtocols(read(protocols));
  const sinceMs = new Date(2026, 10, 21, 8, 12, 31, 328).getTime();
  t.deepEqual([...found.keys()], ['device1', 'spillway4', 'peer_10_0_0_2', 'peer_fd00__2', 'peer_10_0_0_3']);
  t.like(found.get('spillway4'), { state: 'up', imported: 2, exported: 0 });
  t.like(found.get('peer_10_0_0_2'), { state: 'up', info: 'Established', sinceMs, exported: 2 });
  t.like(found.get('peer_fd00__2'), { info: 'Active        Socket: Connection refused', exported: null });
  t.like(found.get('peer_10_0_0_3'), { state: 'down', info: '' });
});

test('a BIRD with other time formats loses the time, nothing else', (t) => {
  const text = protocols.replaceAll('2026-11-21 08:12:31.328', '08:12:31.328');
  t.like(readProtocols(read(text)).get('peer_10_0_0_2'), { state: 'up', sinceMs: null, info: 'Established' });
  t.is(timeOf('2026-13-41 08:12:31'), null);
});

test('tables that are others are refused', (t) => {
  t.throws(() => readProtocols(read('1000-BIRD 2.0.12\n0013 Daemon is up and running\n')), { message: /heading/ });
  t.throws(() => readProtocols(read('9001 syntax error\n')), { message: /heading/ });
  t.throws(() => readProtocols(read('2002-Name Proto Table State Since Info\n1002-odd\n0000 \n')), {
    message: /"odd"/,
  });
  t.throws(() => readBfdSessions(read('1020-odd line\n0000 \n')), { message: /"odd line"/ });
});

test('BFD sessions are read', (t) => {
  const text = `1020-spillway_bfd:
 IP address                Interface  State      Since         Interval  Timeout
 fd00::2                   eth0       Up         2026-11-21 08:12:31.167    0.100    0.300
 10.0.0.9                  ---        Down       2026-11-21 08:12:30.415    1.000    0.000
0000 
`;
  t.deepEqual(readBfdSessions(read(text)), [
    { address: 'fd00::2', state: 'Up' },
    { address: '10.0.0.9', state: 'Down' },
  ]);
});
