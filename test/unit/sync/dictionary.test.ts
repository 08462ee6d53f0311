import test from 'ava';
import * as fc from 'fast-check';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import { backendWireOf, dictionaryOf, serviceWireOf } from '../../../src/sync/dictionary.js';
import { history } from '../../support/arbitrary.js';
import { desiredOf, waysOut } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

const limits = { services: 64, pools: 32, backends: 256 };
const nothing = { health: new Map(), nextHops: new Map(), waysOut: new Map(waysOut) };

/** What sessions on the wire would be called, by names instead of numbers. */
function named({ services, pools, ...compiled }: Compiled) {
  const { dictionary, problems } = dictionaryOf({ services, pools, ...compiled });
  const backends = new Map(
    [...services.values()].flatMap(({ id, vip, listener, pool }) =>
      listener.stopped
        ? []
        : pool.backends.map(({ id: backend, backend: { name, address } }) => [
            `${listener.protocol} ${vip} ${listener.port} -> ${name} ${address}`,
            dictionary.servicePool[id] === dictionary.backendPool[backend]
              ? `${dictionary.serviceWire[id]} ${dictionary.backendWire[backend]}`
              : 'of another pool',
          ]),
    ),
  );
  return { backends: Object.fromEntries([...backends].sort()), problems };
}

test('nodes with the same configuration have the same names for it, whatever each went through', (t) => {
  holds(
    fc.property(history, (steps) => {
      const seasoned = new IdLedger(limits);
      let last: Desired = desiredOf([], []);
      for (const { desired } of steps) {
        try {
          compile(desired, nothing, seasoned, { tickMs: 256 });
          last = desired;
        } catch {
          return; // A configuration that is refused is not in force anywhere.
        }
      }
      const here = named(compile(last, nothing, seasoned, { tickMs: 256 }));
      const there = named(compile(last, nothing, new IdLedger(limits), { tickMs: 256 }));
      t.deepEqual(here, there);
      t.deepEqual(here.problems, []);
      t.false(JSON.stringify(here).includes('of another pool'));
    }),
    { numRuns: 100 },
  );
});

test('a QUIC listener is another than a plain one at the same place; protocols, addresses, ports and groups make others', (t) => {
  const place = { protocol: 'udp', vip: '192.0.2.1', port: 443, quic: false };
  const backend = { group: 'web', name: 'a', address: '10.0.0.1' };
  const wires = [
    serviceWireOf(place),
    serviceWireOf({ ...place, quic: true }),
    serviceWireOf({ ...place, protocol: 'tcp' }),
    serviceWireOf({ ...place, vip: '2001:db8::1' }),
    serviceWireOf({ ...place, port: 444 }),
    backendWireOf(backend),
    backendWireOf({ ...backend, group: 'api' }),
    backendWireOf({ ...backend, name: 'b' }),
    backendWireOf({ ...backend, address: '10.0.0.2' }),
  ];
  t.is(new Set(wires).size, wires.length);
  // On the wire between versions: these do not change.
  t.deepEqual([wires[0], wires[5]], [2273055341, 2063792770]);
});

/** Two names of one digest, found by trying. */
const twins = (() => {
  const seen = new Map<number, string>();
  for (let i = 0; ; i++) {
    const wire = backendWireOf({ group: 'web', name: `b${i}`, address: '10.0.0.1' });
    const before = seen.get(wire);
    if (before !== undefined) return [before, `b${i}`] as const;
    seen.set(wire, `b${i}`);
  }
})();

test('two backends of one group with the same wire id have none, and are named', (t) => {
  const backend = (id: number, name: string) => ({ id, group: 'web', pool: 1, backend: { name, address: '10.0.0.1' } });
  const pool = {
    id: 1,
    group: { name: 'web' },
    backends: [backend(1, twins[0]), backend(2, twins[1]), backend(3, 'other')],
  };
  const compiled = { pools: [pool], services: new Map(), tables: { services: new Map() }, stoppedServices: new Set() };
  const { dictionary, problems } = dictionaryOf(compiled as never);
  t.deepEqual([...dictionary.backendWire.slice(0, 3)], [0, 0, 0]);
  t.not(dictionary.backendWire[3], 0);
  t.is(problems.length, 1);
  t.true(
    problems[0]!.includes(twins[0]) && problems[0]!.includes(twins[1]) && problems[0]!.includes('rename one'),
    problems[0],
  );
});
