import test from 'ava';
import { type AnnounceInput, announcement, type VipTruth, zoneIsGone } from '../../../src/cluster/announce.js';
import { type LifeState, unborn } from '../../../src/cluster/life.js';
import type { LoadBalancer } from '../../../src/config/desired.js';
import { plainAnnouncement } from '../../../src/config/desired.js';
import { loadBalancer } from '../../support/desired.js';
import { peer } from '../../support/peer_report.js';

const active: LifeState = { life: 'active', takesOver: false, joinedAtMs: 1000, zoneWasGone: false };
const vip = '192.0.2.10';

function truth(fields: Partial<VipTruth> = {}, balancer: Partial<LoadBalancer> = {}): VipTruth {
  const web = loadBalancer('web', [vip], [], balancer);
  return { vip, loadBalancer: web, healthyBackends: 2, hopefulBackends: 2, ...fields };
}

function input(fields: Partial<AnnounceInput> = {}): AnnounceInput {
  return {
    vips: [truth()],
    life: active,
    dataPlaneFault: '',
    zone: '',
    peers: [],
    suspect: false,
    suspectWithdraws: false,
    holdDownMs: 10_000,
    standing: new Set(),
    nowMs: 2000,
    ...fields,
  };
}

/** Empty: announced. */
const reason = (fields: Partial<AnnounceInput>): string => {
  const [route] = announcement(input(fields)).routes;
  return route!.announce ? '' : route!.reason;
};
const zoned = { primaryZone: 'a', secondaryZone: 'b' };

test('an active node announces what has a healthy backend', (t) => {
  t.deepEqual(announcement(input()), {
    routes: [{ vip, loadBalancer: 'web', announce: true, preference: 'primary', reason: '' }],
    wakeAtMs: null,
  });
});

test('a node that joins announces nothing', (t) => {
  t.regex(reason({ life: unborn }), /^the node joins/);
});

test('a node that took over goes on announcing while it joins what was announced, and that alone', (t) => {
  const life = { ...unborn, takesOver: true };
  t.is(reason({ life, standing: new Set([vip]) }), '');
  t.regex(reason({ life, standing: new Set(['192.0.2.11']) }), /^the node joins/);
});

for (const life of ['draining', 'stopped'] as const) {
  test(`a node that is ${life} announces nothing`, (t) => {
    t.regex(reason({ life: { ...unborn, life }, standing: new Set([vip]) }), /drained.*spillway node activate/);
  });
}

test('without a data plane nothing is announced, and the reason is its fault', (t) => {
  t.is(reason({ dataPlaneFault: 'the data plane is not attached to eth0' }), 'the data plane is not attached to eth0');
});

test('a VIP with fewer healthy backends than it needs is withdrawn', (t) => {
  t.regex(reason({ vips: [truth({ healthyBackends: 0 })] }), /^no healthy backend on any listener, 1 needed/);
  const three = { announcement: { ...plainAnnouncement, minimumHealthyBackends: 3 } };
  t.regex(reason({ vips: [truth({}, three)] }), /^2 healthy on any listener, 3 needed/);
  t.is(reason({ vips: [truth({ healthyBackends: 3 }, three)] }), '');
});

test('a VIP that is kept when empty is kept', (t) => {
  const kept = { announcement: { ...plainAnnouncement, keepWhenEmpty: true } };
  t.is(reason({ vips: [truth({ healthyBackends: 0 }, kept)] }), '');
});

test('a VIP without a listener is not announced, even when it is kept when empty', (t) => {
  const kept = { announcement: { ...plainAnnouncement, keepWhenEmpty: true } };
  t.is(reason({ vips: [truth({ healthyBackends: null }, kept)] }), 'no listener that is not stopped');
});

test('what is announced is not withdrawn for checks that have said nothing yet', (t) => {
  const vips = [truth({ healthyBackends: 0, hopefulBackends: 1 })];
  t.regex(reason({ vips }), /^no healthy backend/);
  t.is(reason({ vips, standing: new Set([vip]) }), '');
  const down = [truth({ healthyBackends: 0, hopefulBackends: 0 })];
  t.regex(reason({ vips: down, standing: new Set([vip]) }), /^no healthy backend/);
});

test('zones: the primary one is preferred, the secondary one announces, others do not', (t) => {
  const vips = [truth({}, zoned)];
  const at = (zone: string) => announcement(input({ vips, zone })).routes[0]!;
  t.like(at('a'), { announce: true, preference: 'primary' });
  t.like(at('b'), { announce: true, preference: 'secondary' });
  t.like(at('c'), { announce: false, reason: 'for zone a or b, not c' });
  t.like(at(''), { announce: false, reason: 'for zone a or b, and node.zone is not set' });
  t.like(announcement(input({ vips: [truth()], zone: 'c' })).routes[0], { announce: true, preference: 'primary' });
});

test('a zone that was gone whole waits while the other serves, and no longer than the hold-down', (t) => {
  const life = { ...active, zoneWasGone: true };
  const vips = [truth({}, zoned), truth({ vip: '192.0.2.11' })];
  const peers = [peer({ zone: 'b', announced: 1 })];
  const held = announcement(input({ life, vips, zone: 'a', peers, nowMs: 10_999 }));
  t.deepEqual(
    held.routes.map(({ announce }) => announce),
    [false, true],
    'a VIP without zones waits for nothing',
  );
  t.regex(held.routes[0]!.reason, /zone a was gone whole.*while zone b serves/);
  t.is(held.wakeAtMs, 11_000);
  const over = announcement(input({ life, vips, zone: 'a', peers, nowMs: 11_000 }));
  t.true(over.routes[0]!.announce);
  t.is(over.wakeAtMs, null);
});

test('a zone that was gone does not wait where nobody else serves', (t) => {
  const life = { ...active, zoneWasGone: true };
  const vips = [truth({}, zoned)];
  for (const other of [{ alive: false }, { life: 'draining' }, { announced: 0 }, { zone: 'c' }] as const) {
    t.is(
      reason({ life, vips, zone: 'a', peers: [peer({ zone: 'b', announced: 1, ...other })] }),
      '',
      JSON.stringify(other),
    );
  }
});

test('nor does the secondary zone wait', (t) => {
  const peers = [peer({ zone: 'a', announced: 1 })];
  t.is(reason({ life: { ...active, zoneWasGone: true }, vips: [truth({}, zoned)], zone: 'b', peers }), '');
});

test('a zone is gone when nobody of it announces', (t) => {
  t.true(zoneIsGone('a', []));
  t.true(zoneIsGone('a', [peer({ zone: 'b', announced: 1 }), peer({ zone: 'a', announced: 0 })]));
  t.false(zoneIsGone('a', [peer({ zone: 'a', announced: 1 })]));
  t.true(zoneIsGone('a', [peer({ zone: 'a', announced: 1, alive: false })]));
  t.false(zoneIsGone('', []), 'without zones nothing is gone');
});

test('a suspect node withdraws where it shall, and only while another serves the same VIP', (t) => {
  const suspect = { suspect: true, suspectWithdraws: true };
  const peers = [peer({ announced: 1 })];
  t.regex(reason({ ...suspect, peers }), /alone sees many backends down/);
  t.is(reason({ ...suspect, suspectWithdraws: false, peers }), '');
  t.is(reason({ ...suspect, peers: [] }), '');
  t.is(reason({ ...suspect, peers: [peer({ announced: 1, suspect: true })] }), '', 'two suspects suspect nobody');
  t.is(reason({ ...suspect, peers, vips: [truth({}, zoned)], zone: 'a' }), '', 'a peer of no zone does not serve it');
});
