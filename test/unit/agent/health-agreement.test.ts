/** From what this node and its peers see to what counts, on real pools. */
import test from 'ava';
import * as fc from 'fast-check';
import { BackendFlags } from '../../../src/abi/abi.generated.js';
import {
  type AgreedChange,
  type AgreementNodes,
  disagreement,
  HealthAgreement,
} from '../../../src/agent/health-agreement.js';
import { ObservedState } from '../../../src/agent/state.js';
import { standingOf } from '../../../src/cluster/agreement.js';
import type { Peer, Verdicts } from '../../../src/cluster/types.js';
import { agreementIdsOf } from '../../../src/compile/agreement-ids.js';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import { configDigest } from '../../../src/config/digest.js';
import type { HealthState } from '../../../src/health/types.js';
import { backend, desiredOf, group, listener, loadBalancer, resolved, tcpCheck } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

const web = (names: readonly string[], fields: Partial<Parameters<typeof listener>[0]> = {}): Desired =>
  desiredOf(
    [
      loadBalancer(
        'web',
        ['192.0.2.10'],
        [listener({ port: 443, backendGroup: 'web', healthCheck: tcpCheck, ...fields })],
      ),
    ],
    [
      group(
        'web',
        'IPIP',
        names.map((name) => backend(name, `203.0.113.${20 + Number(name.slice(2))}`)),
      ),
    ],
  );

/** One node: what it wants, what it sees, whom it hears. */
class Node {
  nowMs = 1000;
  readonly observed = new ObservedState(() => this.nowMs);
  readonly changes: AgreedChange[] = [];
  readonly agreement: HealthAgreement;
  readonly ids = new IdLedger({ services: 16, pools: 16, backends: 64 });
  compiled!: Compiled;
  digest = 0n;
  said: Verdicts | null = null;
  peers: Peer[] = [];
  listeners = new Set<() => void>();

  /** What is to happen, and when. */
  timers: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor({ zone = '' }: { zone?: string } = {}) {
    this.agreement = new HealthAgreement({
      clock: {
        monotonicMs: () => this.nowMs,
        after: (delayMs, run) => {
          const timer = { atMs: this.nowMs + delayMs, run };
          this.timers.push(timer);
          return () => {
            this.timers = this.timers.filter((one) => one !== timer);
          };
        },
      },
      zone,
      config: { quorum: 'majority', suspectPercent: 50, suspectWithdraws: false },
      observed: () => this.observed,
      onChanges: (changes) => this.changes.push(...changes),
    });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.timers = this.timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { run } of due) run();
  }

  want(desired: Desired): this {
    for (const { backends } of desired.backendGroups) {
      for (const { address } of backends) this.observed.setNextHop(address, resolved(address));
    }
    this.compiled = this.compile(desired);
    this.digest = configDigest(desired);
    this.agreement.setTargets(this.compiled.pools, this.digest);
    return this;
  }

  compile(desired: Desired): Compiled {
    return compile(desired, this.observed.now, this.ids, { tickMs: 256 });
  }

  get nodes(): AgreementNodes {
    return {
      peers: () => this.peers,
      onPeers: (listen) => {
        this.listeners.add(listen);
        return () => this.listeners.delete(listen);
      },
      setVerdicts: (verdicts) => {
        this.said = verdicts;
      },
    };
  }

  connected(): this {
    this.agreement.connect(this.nodes);
    return this;
  }

  hears(...peers: (Verdicts | 'silent' | (Verdicts & Pick<Peer, 'life' | 'zone'>))[]): void {
    this.peers = peers.map((said, i) => {
      const verdicts = said === 'silent' ? null : said;
      return { name: `n${i}`, alive: verdicts !== null, life: 'active', zone: '', ...verdicts, verdicts } as Peer;
    });
    for (const listen of this.listeners) listen();
  }

  key(name: string): string {
    return [...this.compiled.backends.values()].find(({ backend: { name: is } }) => is === name)!.checkKey;
  }

  id(name: string): bigint {
    return agreementIdsOf(this.compiled.pools[0]!).get(this.key(name))!;
  }

  finds(state: HealthState, ...names: readonly string[]): void {
    this.agreement.take(names.map((name) => ({ key: this.key(name), to: state })));
  }

  says(unhealthy: readonly string[] = [], unknown: readonly string[] = [], digest = this.digest): Verdicts {
    const ids = (names: readonly string[]): Set<bigint> => new Set(names.map((name) => this.id(name)));
    return { configDigest: digest, unhealthy: ids(unhealthy), unknown: ids(unknown) };
  }

  counts(name: string): HealthState {
    return this.observed.healthOf(this.key(name));
  }
}

const two = ['be1', 'be2'];

test("without a cluster this node's word counts", (t) => {
  const node = new Node().want(web(two));
  node.finds('healthy', 'be1');
  node.finds('unhealthy', 'be2');
  t.deepEqual([node.counts('be1'), node.counts('be2')], ['healthy', 'unhealthy']);
  t.is(node.agreement.standing(node.key('be2')), null);
  t.false(node.agreement.suspect);
});

test('what one node of three sees fail keeps its traffic, and status says why; what two see fail leaves', (t) => {
  const desired = web(two);
  const node = new Node().want(desired).connected();
  node.finds('healthy', ...two);
  node.hears(node.says(), node.says());
  node.finds('unhealthy', 'be1');
  t.is(node.counts('be1'), 'healthy');
  t.is(node.observed.ownHealthOf(node.key('be1')), 'unhealthy');
  t.is(
    disagreement('unhealthy', node.agreement.standing(node.key('be1'))),
    'unhealthy here, but 2 of 3 nodes see it healthy: it takes traffic',
  );
  t.deepEqual(node.changes, []);
  node.hears(node.says(['be1']), node.says());
  t.is(node.counts('be1'), 'unhealthy');
  t.deepEqual(
    node.changes.map(({ key, from, to }) => ({ key, from, to })),
    [{ key: node.key('be1'), from: 'healthy', to: 'unhealthy' }],
  );
  t.is(disagreement('unhealthy', node.agreement.standing(node.key('be1'))), '');
  node.finds('healthy', 'be1');
  t.is(node.counts('be1'), 'healthy', '1 of 3');
});

test('what two others see fail leaves here, too, though it passes', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', ...two);
  node.hears(node.says(['be2']), node.says(['be2']));
  t.is(node.counts('be2'), 'unhealthy');
  t.is(
    disagreement('healthy', node.agreement.standing(node.key('be2'))),
    'healthy here, but 2 of 3 nodes see it unhealthy: it takes none',
  );
});

test('a peer that falls silent has no vote any more', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', 'be2');
  node.finds('unhealthy', 'be1');
  node.hears(node.says(), node.says());
  t.is(node.counts('be1'), 'healthy');
  node.hears('silent', 'silent');
  t.is(node.counts('be1'), 'unhealthy');
  t.is(node.agreement.standing(node.key('be1')), null);
});

const serving = { life: 'active', zone: 'a' } as const;

test('nodes of another zone take nothing out here, and keep nothing in', (t) => {
  const node = new Node({ zone: 'b' }).want(web(two)).connected();
  node.finds('healthy', ...two);
  const cutOff = { ...node.says(['be1']), ...serving };
  node.hears(cutOff, cutOff);
  t.deepEqual([node.counts('be1'), node.agreement.standing(node.key('be1'))], ['healthy', null]);
  node.finds('unhealthy', 'be2');
  t.is(node.counts('be2'), 'unhealthy');
  node.hears({ ...node.says(), life: 'active', zone: 'b' }, cutOff);
  t.is(node.counts('be2'), 'healthy', 'one of the own zone sees it');
});

test('only nodes that serve vote', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', ...two);
  for (const life of ['joining', 'draining', 'stopped'] as const) {
    const idle = { ...node.says(['be1']), life, zone: '' };
    node.hears(idle, idle);
    t.is(node.counts('be1'), 'healthy', life);
  }
  node.hears(node.says(['be1']), node.says(['be1']));
  t.is(node.counts('be1'), 'unhealthy');
});

test('where the others would leave nothing of a pool, what passes here counts', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', ...two);
  node.hears(node.says(two), node.says(two));
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['healthy', 'healthy'],
  );
  t.deepEqual(node.changes, []);
  node.finds('unhealthy', 'be1');
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['unhealthy', 'healthy'],
  );
  node.hears(node.says(['be2']), node.says(['be2']));
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['healthy', 'unhealthy'],
    'be1 passes for the others',
  );
  node.hears(node.says(['be2']), node.says(two));
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['unhealthy', 'healthy'],
  );
  node.finds('healthy', 'be1');
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['healthy', 'unhealthy'],
    'there is another again',
  );
  node.hears();
  t.deepEqual(
    two.map((name) => node.counts(name)),
    ['healthy', 'healthy'],
  );
});

test('what was not checked here yet is what the others say', (t) => {
  const node = new Node().want(web(two)).connected();
  node.hears(node.says(['be2']));
  t.deepEqual([node.counts('be1'), node.counts('be2')], ['healthy', 'unhealthy']);
  t.is(
    disagreement('unknown', node.agreement.standing(node.key('be1'))),
    'not checked here yet, but 1 of 1 nodes sees it healthy: it takes traffic',
  );
});

test('others are told what is unhealthy and unknown here, with the digest of what it is of', (t) => {
  const node = new Node().want(web(two)).connected();
  t.deepEqual(node.said, node.says([], two));
  node.finds('unhealthy', 'be1');
  t.deepEqual(node.said, node.says(['be1'], ['be2']));
  node.finds('healthy', 'be1');
  const before = node.said;
  node.want(web(['be1', 'be2', 'be3']));
  t.deepEqual(node.said, node.says([], ['be2', 'be3']));
  t.not(node.said!.configDigest, before!.configDigest);
  node.want(web(['be1']));
  t.deepEqual(node.said, node.says(), 'what is checked no more is not named');
});

test('other nodes, with other histories, call the same check the same', (t) => {
  const extra = listener({ name: 'first', port: 80, backendGroup: 'web', healthCheck: { ...tcpCheck, rise: 5 } });
  const desired = web(two);
  const with80 = desiredOf(
    [{ ...desired.loadBalancers[0]!, listeners: [extra, ...desired.loadBalancers[0]!.listeners] }],
    desired.backendGroups,
  );
  const young = new Node().want(desired);
  const old = new Node().want(with80);
  old.want(desired);
  t.is(young.id('be1'), old.id('be1'));
  const both = [...new Set(old.compile(with80).pools.flatMap((pool) => [...agreementIdsOf(pool).values()]))];
  t.is(both.length, 4, 'each view has checks of its own');
});

test('slow start begins when it counts again, and the row remembers what this node saw', (t) => {
  const desired = web(two, { slowStartMs: 60_000 });
  const node = new Node().want(desired).connected();
  node.finds('healthy', ...two);
  node.hears(node.says(), node.says());
  node.finds('unhealthy', 'be1');
  node.nowMs = 2000;
  node.finds('healthy', 'be1');
  t.is(node.observed.now.recoveredAtMs!.size, 0, 'it never was out');
  node.finds('unhealthy', 'be1');
  const row = () => [...node.compile(desired).backends.values()].find(({ backend: { name } }) => name === 'be1')!.row;
  const { BACKEND_HEALTHY, BACKEND_UP, BACKEND_CHECKED } = BackendFlags;
  t.is(row().flags & (BACKEND_HEALTHY | BACKEND_UP | BACKEND_CHECKED), BACKEND_UP | BACKEND_CHECKED);
  node.hears(node.says(['be1']), node.says());
  t.is(row().flags & BACKEND_UP, 0);
  node.nowMs = 9000;
  node.hears(node.says(), node.says());
  t.deepEqual([...node.observed.now.recoveredAtMs!], [[node.key('be1'), 9000]]);
});

test('a node that alone sees most of its backends fail says so of itself, and takes none of them out', (t) => {
  const node = new Node().want(web(['be1', 'be2', 'be3'])).connected();
  node.finds('healthy', 'be1', 'be2', 'be3');
  node.hears(node.says(), node.says());
  node.finds('unhealthy', 'be1', 'be2');
  t.true(node.agreement.suspect);
  t.regex(node.agreement.problems()[0]!, /alone sees more than 50 % .* look at its interfaces/);
  t.deepEqual(
    ['be1', 'be2', 'be3'].map((name) => node.counts(name)),
    ['healthy', 'healthy', 'healthy'],
  );
  node.finds('healthy', 'be2');
  t.false(node.agreement.suspect);
  t.deepEqual(node.agreement.problems(), []);
});

const described = (desired: Desired, description: string): Desired => ({
  ...desired,
  backendGroups: desired.backendGroups.map((one) => ({ ...one, description })),
});

test('a configuration that goes round takes nobody out whom one node alone sees fail, whoever has it first', (t) => {
  const desired = web(two);
  const node = new Node().want(desired).connected();
  node.finds('healthy', 'be2');
  node.finds('unhealthy', 'be1');
  const before = node.digest;
  node.hears(node.says(), node.says());
  node.want(described(desired, 'this node first'));
  t.is(node.counts('be1'), 'healthy', 'peers want what was wanted here, too');
  node.hears(node.says([], [], before), node.says());
  t.is(node.counts('be1'), 'healthy');
  node.hears(node.says([], [], 77n), node.says([], [], 77n));
  t.is(node.counts('be1'), 'healthy', 'peers went ahead, and had it a moment ago');
  node.pass(29_000);
  t.is(node.counts('be1'), 'healthy');
  node.pass(1000);
  t.is(node.counts('be1'), 'unhealthy', 'they want something else for good: they may not have it any more');
  node.hears(node.says(), node.says([], [], 77n));
  t.is(node.counts('be1'), 'healthy', 'one wants the same again');
});

test('of a backend that is new here, peers that do not want it yet have no opinion', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', ...two);
  const before = node.digest;
  node.hears(node.says(), node.says());
  node.want(web(['be1', 'be2', 'be3']));
  t.is(node.counts('be3'), 'unknown');
  node.finds('unhealthy', 'be3');
  t.is(node.counts('be3'), 'unhealthy');
  node.hears(node.says([], [], before), node.says());
  t.is(node.counts('be3'), 'healthy', 'one has it by now, and sees it healthy');
});

test('peers that never wanted what is wanted here have an opinion of what they name alone', (t) => {
  const node = new Node().want(web(two)).connected();
  node.finds('healthy', 'be2');
  node.finds('unhealthy', 'be1');
  node.hears(node.says([], [], 77n), node.says(['be2'], [], 78n));
  t.is(node.counts('be1'), 'unhealthy');
  t.deepEqual(node.agreement.standing(node.key('be2')), { state: 'healthy', healthy: 1, unhealthy: 1 });
});

test('after a restart what the others outvoted stays so until they are heard, or do not answer', (t) => {
  for (const answers of [true, false]) {
    const node = new Node();
    const desired = web(two);
    const key = (name: string): string => `web/0/${name}/203.0.113.2${name.slice(2)}`;
    node.observed.setHealth(key('be1'), 'unhealthy', 'healthy');
    node.observed.setHealth(key('be2'), 'healthy');
    node.want(desired);
    t.deepEqual([node.key('be1'), node.counts('be1')], [key('be1'), 'healthy']);
    node.connected();
    node.hears('silent');
    node.pass(2000);
    t.is(node.counts('be1'), 'healthy');
    if (answers) node.hears(node.says());
    node.pass(2000);
    t.is(node.counts('be1'), answers ? 'healthy' : 'unhealthy');
    t.deepEqual(node.timers, []);
  }
});

test('who leaves the cluster changes nothing: what was agreed last goes on without the agent', (t) => {
  const node = new Node().want(web(two));
  node.finds('healthy', 'be2');
  const leave = node.agreement.connect(node.nodes);
  node.finds('unhealthy', 'be1');
  node.hears(node.says(), node.says());
  t.is(node.counts('be1'), 'healthy');
  const before = node.changes.length;
  leave();
  node.pass(60_000);
  t.is(node.counts('be1'), 'healthy');
  t.is(node.changes.length, before);
  t.deepEqual(node.timers, []);
  t.is(node.listeners.size, 0);
});

/** What may happen to a node: it wants other backends, finds something, hears something of somebody. */
const names = ['be1', 'be2', 'be3', 'be4'];
const someNames = fc.subarray(names);
const event = fc.oneof(
  fc.record({ kind: fc.constant('want' as const), names: fc.subarray(names, { minLength: 1 }) }),
  fc.record({
    kind: fc.constant('find' as const),
    name: fc.constantFrom(...names),
    state: fc.constantFrom<HealthState>('healthy', 'unhealthy'),
  }),
  fc.record({
    kind: fc.constant('hear' as const),
    peer: fc.nat({ max: 2 }),
    bad: someNames,
    not: someNames,
    /** So many configurations ago this node wanted what the peer wants; null: never. */
    back: fc.option(fc.nat({ max: 3 }), { freq: 4 }),
    silent: fc.nat({ max: 5 }).map((n) => n === 0),
  }),
);

test('after whatever happened, what counts is what counting anew from the last words of all gives', (t) => {
  let [outvoted, spared] = [0, 0];
  const everything = new Node().want(web(names));
  const ids = new Map(names.map((name) => [name, everything.id(name)]));
  holds(
    fc.property(fc.array(event, { maxLength: 25 }), (events) => {
      const node = new Node().want(web(names)).connected();
      const wanted = [{ digest: node.digest, names: new Set(names) }];
      const own = new Map<string, HealthState>();
      const heard = new Map<number, { bad: string[]; not: string[]; digest: bigint; edition: number }>();
      /** Those that have no vote, whatever they say. */
      const idle = new Map<number, Verdicts & Pick<Peer, 'life' | 'zone'>>();
      const tell = (): void => {
        const named = (list: readonly string[]): Set<bigint> => new Set(list.map((name) => ids.get(name)!));
        node.hears(
          ...[0, 1, 2].map((peer) => {
            const one = heard.get(peer);
            if (!one) return idle.get(peer) ?? ('silent' as const);
            return { configDigest: one.digest, unhealthy: named(one.bad), unknown: named(one.not) };
          }),
        );
      };
      for (const one of events) {
        if (one.kind === 'want') {
          for (const name of [...own.keys()]) if (!one.names.includes(name)) own.delete(name);
          const gone = [...wanted.at(-1)!.names].filter((name) => !one.names.includes(name));
          node.observed.forget({ keys: gone.map((name) => node.key(name)) });
          node.want(web(one.names));
          if (node.digest !== wanted.at(-1)!.digest) wanted.push({ digest: node.digest, names: new Set(one.names) });
          for (const peer of heard.values()) {
            const now = wanted.findLastIndex(({ digest }) => digest === peer.digest);
            if (now >= 0) peer.edition = now;
          }
        } else if (one.kind === 'find') {
          if (!wanted.at(-1)!.names.has(one.name)) continue;
          own.set(one.name, one.state);
          node.finds(one.state, one.name);
        } else {
          const known = one.back === null ? undefined : wanted.at(-1 - one.back);
          const digest = known?.digest ?? 77n;
          const edition = known
            ? wanted.findLastIndex((then) => then.digest === digest)
            : (heard.get(one.peer)?.edition ?? -1);
          if (one.silent) {
            heard.delete(one.peer);
            idle.set(one.peer, { ...everything.says(one.bad, [], node.digest), life: 'draining', zone: '' });
          } else
            heard.set(one.peer, {
              bad: one.bad,
              not: one.not.filter((name) => !one.bad.includes(name)),
              digest,
              edition,
            });
          tell();
        }
        const voted = [...wanted.at(-1)!.names].map((name) => {
          const state = own.get(name) ?? 'unknown';
          const peers = [...heard.values()].map(({ bad, not, edition }) => ({
            unhealthy: new Set(bad.includes(name) ? [1n] : []),
            unknown: new Set(not.includes(name) ? [1n] : []),
            has: () => edition >= 0 && wanted.slice(edition).every((then) => then.names.has(name)),
          }));
          return { name, state, agreed: standingOf(1n, { own: state, peers }, 'majority').state };
        });
        const isLeftEmpty = voted.every(({ agreed }) => agreed !== 'healthy');
        for (const { name, state, agreed } of voted) {
          const expected = isLeftEmpty && state === 'healthy' ? 'healthy' : agreed;
          if (expected !== agreed) spared++;
          if (node.counts(name) !== expected)
            throw new Error(`${name} counts as ${node.counts(name)}, not ${expected}`);
          if (expected !== state) outvoted++;
        }
      }
    }),
    { numRuns: 400 },
  );
  t.log(`${outvoted} times it was not this node's own word`);
  t.true(outvoted > 400);
  t.true(spared > 0);
});
