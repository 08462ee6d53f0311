import test from 'ava';
import fc from 'fast-check';
import { AlreadyExistsError, InvalidError, NotFoundError, PreconditionError } from '../../../src/base/errors.js';
import type { Desired } from '../../../src/config/desired.js';
import { noLimits, plainAnnouncement } from '../../../src/config/desired.js';
import {
  changeEntries,
  createAccessList,
  deleteAccessList,
  updateAccessList,
} from '../../../src/config/edit/access_lists.js';
import { createAddressPool, deleteAddressPool, updateAddressPool } from '../../../src/config/edit/address_pools.js';
import { deleteBackendGroup, updateBackendGroup } from '../../../src/config/edit/backend_groups.js';
import { createBackend, deleteBackend, updateBackend } from '../../../src/config/edit/backends.js';
import { createListener, deleteListener, updateListener } from '../../../src/config/edit/listeners.js';
import { deleteLoadBalancer, updateLoadBalancer } from '../../../src/config/edit/load_balancers.js';
import { validate } from '../../../src/config/validate.js';
import { toConfig } from '../../../src/config/write.js';
import { desired } from './arbitrary.js';

/** Half of them bad in one way or another. */
const backendChange = fc.record(
  {
    address: fc.constantFrom('203.0.113.1', '203.0.113.7', '2001:db8:f::1', '192.0.2.0', '127.0.0.1', 'x'),
    port: fc.constantFrom(0, 0, 443, 70_000),
    weight: fc.constantFrom(0, 1, 100, 101),
    zone: fc.constantFrom('', 'b', 'b b'),
    quicServerId: fc.constantFrom(new Uint8Array(), Uint8Array.of(0), Uint8Array.of(1, 1, 1, 1), new Uint8Array(16)),
  },
  { requiredKeys: [] },
);
const listenerChange = fc.record(
  {
    port: fc.constantFrom(80, 443, 0),
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
    stopped: fc.boolean(),
    scheduler: fc.constantFrom('TCH' as const, 'RR' as const, 'QCH' as const),
    quic: fc.constantFrom(null, { configs: [{ id: 0, serverIdLength: 4, nonceLength: 12, key: new Uint8Array(16) }] }),
    slowStart: fc.constantFrom(null, { seconds: 30n, nanos: 0 }),
    locality: fc.constantFrom(
      null,
      { preferOwnZone: true, minimumHealthyPercent: 0, otherZonesWeightPercent: 10 },
      { preferOwnZone: true, minimumHealthyPercent: 101, otherZonesWeightPercent: 0 },
    ),
    accessControl: fc.constantFrom(null, { mode: 'DENY' as const, accessList: 'a' }),
  },
  { requiredKeys: [] },
);
const balancerChange = fc.record(
  {
    addresses: fc.constantFrom(['192.0.2.0'], ['192.0.2.77', '2001:db8::77'], ['203.0.113.3'], []),
    addressRequest: fc.constantFrom(null, { pool: '', scope: 'PUBLIC' as const, families: ['IPV6' as const] }),
    primaryZone: fc.constantFrom('', 'a', 'b'),
    secondaryZone: fc.constantFrom('', 'b'),
    announcement: fc.constantFrom(null, {
      minimumHealthyBackends: 0,
      keepWhenEmpty: true,
      prepend: 2,
      communities: ['65000:1'],
    }),
  },
  { requiredKeys: [] },
);
const groupChange = fc.record(
  {
    forwarding: fc.constantFrom('IPIP' as const, 'L2_DSR' as const, 'GUE' as const),
    portMapping: fc.boolean(),
    tunnelPort: fc.constantFrom(0, 6081),
  },
  { requiredKeys: [] },
);

const entries = fc.array(
  fc.constantFrom('0.0.0.0/0', '10.0.0.0/8', '10.0.0.0', '::/0', '2001:db8::/32', '10.0.0.1/8'),
  {
    maxLength: 4,
  },
);
const listChange = fc.record({ entries, description: fc.constantFrom('', '\n') }, { requiredKeys: [] });
const entriesChange = fc.record({ add: entries, remove: entries });
const newPool = { name: 'new', scope: 'PUBLIC' as const, prefixes: ['198.19.0.0/16'], reserved: [], description: '' };
const poolChange = fc.record(
  {
    scope: fc.constantFrom('PUBLIC' as const, 'PRIVATE' as const),
    prefixes: fc.constantFrom<string[]>(
      ['198.18.0.0/16'],
      ['198.19.0.0/16'],
      ['2001:db8:a::/48'],
      ['2001:db8:b::/48'],
      [],
    ),
    reserved: fc.constantFrom<string[]>([], ['198.19.0.1']),
  },
  { requiredKeys: [] },
);

type Edit = (state: Desired) => Desired;
const merge =
  <T extends object>(change: object) =>
  (before: T): T => ({ ...before, ...change });

function editsOf(state: Desired): fc.Arbitrary<Edit> {
  const group = state.backendGroups.at(-1);
  const balancer = state.loadBalancers.at(-1);
  const edits: fc.Arbitrary<Edit>[] = [
    fc.constant((same: Desired) => ({ ...same })),
    poolChange.map((change) => (now) => createAddressPool(now, { ...newPool, ...change }).desired),
    fc.constant(
      (now) => createAccessList(now, { name: 'a', entries: ['10.0.0.0/8', '9.0.0.0/8'], description: '' }).desired,
    ),
  ];
  for (const { name } of state.accessLists) {
    edits.push(
      listChange.map((change) => (now) => updateAccessList(now, name, merge(change)).desired),
      entriesChange.map((change) => (now) => changeEntries(now, name, change).desired),
      fc.constant((now) => deleteAccessList(now, name)),
    );
  }
  for (const { name } of state.addressPools) {
    edits.push(
      poolChange.map((change) => (now) => updateAddressPool(now, name, merge(change)).desired),
      fc.constant((now) => deleteAddressPool(now, name)),
    );
  }
  if (group !== undefined) {
    const groupName = group.name;
    edits.push(
      groupChange.map((change) => (now) => updateBackendGroup(now, groupName, merge(change)).desired),
      fc.constant((now) => deleteBackendGroup(now, groupName)),
      backendChange.map((change) => (now) => {
        const blank = { name: '', address: '203.0.113.250', port: 0, zone: '', quicServerId: new Uint8Array() };
        return createBackend(now, groupName, { ...blank, ...change }).desired;
      }),
    );
    for (const { name } of group.backends) {
      edits.push(
        backendChange.map((change) => (now) => updateBackend(now, { groupName, name }, merge(change)).desired),
        fc.constant((now) => deleteBackend(now, { groupName, name })),
      );
    }
  }
  if (balancer !== undefined) {
    const balancerName = balancer.name;
    edits.push(
      balancerChange.map((change) => (now) => updateLoadBalancer(now, balancerName, merge(change)).desired),
      fc.constant((now) => deleteLoadBalancer(now, balancerName)),
    );
    for (const { name } of balancer.listeners) {
      edits.push(
        listenerChange.map((change) => (now) => updateListener(now, { balancerName, name }, merge(change)).desired),
        fc.constant((now) => deleteListener(now, { balancerName, name })),
      );
    }
  }
  return fc.oneof(...edits);
}

test('a change of one resource gives what validating the whole document gives, and leaves the state before alone', (t) => {
  let done = 0;
  fc.assert(
    fc.property(
      desired.chain((state) => editsOf(state).map((edit) => ({ state, edit }))),
      ({ state, edit }) => {
        const before = structuredClone(state);
        try {
          const after = edit(state);
          t.deepEqual(validate(toConfig(after)), after);
          done++;
        } catch (error) {
          if (![InvalidError, PreconditionError, AlreadyExistsError].some((kind) => error instanceof kind)) throw error;
        }
        t.deepEqual(state, before);
      },
    ),
    { numRuns: 1500 },
  );
  t.true(done > 300, `${done} changes were valid`);
});

test('a change that is refused alone is refused in the whole document too', (t) => {
  let refusals = 0;
  const withBackend = desired.filter(({ backendGroups }) => backendGroups.some(({ backends }) => backends.length > 0));
  fc.assert(
    fc.property(withBackend, backendChange, (state, change) => {
      const place = state.backendGroups.findIndex(({ backends }) => backends.length > 0);
      const group = state.backendGroups[place]!;
      const { name, address } = group.backends[0]!;
      // A backend that is named by its address is another one at another address.
      if (name === address) return;
      const whole = toConfig(state);
      Object.assign(whole.backendGroups[place]!.backends[0]!, change);
      const outcome = (run: () => unknown) => {
        try {
          return run();
        } catch (error) {
          if (error instanceof InvalidError) return 'refused';
          throw error;
        }
      };
      const alone = outcome(() => updateBackend(state, { groupName: group.name, name }, merge(change)).desired);
      t.deepEqual(
        alone,
        outcome(() => validate(whole)),
      );
      if (alone === 'refused') refusals++;
    }),
    { numRuns: 1000 },
  );
  t.true(refusals > 100);
});

const state: Desired = validate(
  toConfig({
    loadBalancers: [
      {
        name: 'lb',
        addresses: ['192.0.2.1'],
        description: '',
        labels: {},
        addressRequest: null,
        limits: noLimits,
        maxSegmentSize: 0,
        primaryZone: '',
        secondaryZone: '',
        announcement: plainAnnouncement,
        listeners: [
          {
            name: 'https',
            protocol: 'tcp',
            port: 443,
            backendGroup: 'web',
            scheduler: 'TCH',
            sessionTimeoutMs: 900_000,
            healthCheck: null,
            allUnhealthy: 'FAIL_OPEN',
            stopped: false,
            description: '',
            sourcePersistenceMs: 0,
            accessControl: null,
            limits: noLimits,
            quic: [],
            slowStartMs: 0,
            locality: null,
          },
        ],
      },
    ],
    accessLists: [],
    addressPools: [],
    backendGroups: [
      {
        name: 'web',
        forwarding: 'L2_DSR',
        description: '',
        tunnelPort: 6080,
        portMapping: false,
        backends: [
          {
            name: 'be1',
            address: '203.0.113.1',
            family: 4,
            port: 0,
            weight: 100,
            zone: '',
            quicServerId: new Uint8Array(),
          },
          {
            name: '203.0.113.2',
            address: '203.0.113.2',
            family: 4,
            port: 0,
            weight: 100,
            zone: '',
            quicServerId: new Uint8Array(),
          },
        ],
      },
      { name: 'spare', forwarding: 'L2_DSR', description: '', tunnelPort: 6080, portMapping: false, backends: [] },
    ],
  }),
);

test('everything that a change of a weight does not touch is shared with the state before', (t) => {
  const { desired: after } = updateBackend(state, { groupName: 'web', name: 'be1' }, merge({ weight: 1 }));
  t.is(after.loadBalancers, state.loadBalancers);
  t.is(after.backendGroups[1], state.backendGroups[1]);
  t.is(after.backendGroups[0]!.backends[1], state.backendGroups[0]!.backends[1]);
});

test('what uses an access list or a pool keeps it from being deleted, and is named', (t) => {
  const list = { name: 'bad', entries: [], description: '' };
  const { desired: listed } = createAccessList(state, list);
  const accessControl = { mode: 'DENY' as const, accessList: 'bad' };
  const used = updateListener(listed, { balancerName: 'lb', name: 'https' }, merge({ accessControl })).desired;
  t.throws(() => deleteAccessList(used, 'bad'), {
    instanceOf: PreconditionError,
    message:
      'listener "lb/https" uses access list "bad": take accessControl from it, or name another list there, first',
  });
  t.is(deleteAccessList(listed, 'bad').accessLists.length, 0);
  t.throws(() => createAccessList(listed, list), { instanceOf: AlreadyExistsError });
  t.throws(() => deleteAccessList(state, 'bad'), { message: 'no access list "bad"' });

  const { desired: pooled } = createAddressPool(state, newPool);
  const { desired: asking } = updateLoadBalancer(pooled, 'lb', merge({ addressRequest: anyOfIt }));
  const message =
    'LoadBalancer "lb" has its addresses from address pool "new": delete it, or set addresses or another ' +
    'addressRequest there, first';
  t.throws(() => deleteAddressPool(asking, 'new'), { instanceOf: PreconditionError, message });
  const { desired: two } = createAddressPool(asking, { ...newPool, name: 'other', prefixes: ['198.18.0.0/16'] });
  t.is(deleteAddressPool(two, 'new').addressPools.length, 1, 'nothing was given from it, and another can serve');
  const given = { ...two, loadBalancers: [{ ...two.loadBalancers[0]!, addresses: ['198.19.0.1'] }] };
  t.throws(() => deleteAddressPool(given, 'new'), { instanceOf: PreconditionError, message });
  t.is(deleteAddressPool(given, 'other').addressPools.length, 1);
});

const anyOfIt = { pool: '', scope: 'PUBLIC', families: ['IPV4'] };

test('a group that leaves GUE leaves its port too', (t) => {
  const gue = { forwarding: 'GUE', tunnelPort: 6081 };
  const { desired: before } = updateBackendGroup(state, 'spare', merge(gue));
  t.like(before.backendGroups[1], gue);
  t.like(updateBackendGroup(before, 'spare', merge({ forwarding: 'IPIP' })).resource, { tunnelPort: 6080 });
  t.throws(() => updateBackendGroup(before, 'spare', merge({ forwarding: 'IPIP', tunnelPort: 6082 })), {
    instanceOf: InvalidError,
  });
});

const https = { balancerName: 'lb', name: 'https' };

test('a listener that prefers its own zone no more leaves behind how it did', (t) => {
  const prefers = { preferOwnZone: true, minimumHealthyPercent: 50, otherZonesWeightPercent: 10 };
  const { desired: before, resource } = updateListener(state, https, merge({ locality: prefers }));
  t.deepEqual(resource.locality, { minimumHealthyPercent: 50, otherZonesWeightPercent: 10 });
  const off = updateListener(before, https, merge({ locality: { ...prefers, preferOwnZone: false } }));
  t.is(off.resource.locality, null);
  const contradicts = { preferOwnZone: false, minimumHealthyPercent: 60, otherZonesWeightPercent: 10 };
  const refusal = t.throws(() => updateListener(before, https, merge({ locality: contradicts })), {
    instanceOf: InvalidError,
  });
  t.is(refusal!.violations[0]!.field, 'listener.locality.minimumHealthyPercent');
});

test('the primary zone goes only with or after the secondary one', (t) => {
  const { desired: zoned } = updateLoadBalancer(state, 'lb', merge({ primaryZone: 'a', secondaryZone: 'b' }));
  const refusal = t.throws(() => updateLoadBalancer(zoned, 'lb', merge({ primaryZone: '' })), {
    instanceOf: InvalidError,
  });
  t.is(refusal!.violations[0]!.field, 'loadBalancer.secondaryZone');
  const none = updateLoadBalancer(zoned, 'lb', merge({ primaryZone: '', secondaryZone: '' }));
  t.like(none.resource, { primaryZone: '', secondaryZone: '' });
});

test('addresses and a request for them end each other, and what was given stays until a pool takes it back', (t) => {
  const pool = { name: 'p', scope: 'PUBLIC' as const, prefixes: ['198.18.0.0/24'], reserved: [], description: '' };
  const { desired: pooled } = createAddressPool(state, pool);
  const ask = { pool: 'p', scope: 'ADDRESS_SCOPE_UNSPECIFIED', families: ['IPV4'] };
  const asked = updateLoadBalancer(pooled, 'lb', merge({ addressRequest: ask }));
  t.like(asked.resource, { addresses: [], addressRequest: { pool: 'p', scope: 'PUBLIC', families: [4] } });
  const given = { ...asked.desired, loadBalancers: [{ ...asked.resource, addresses: ['198.18.0.1'] }] };
  const same = updateLoadBalancer(given, 'lb', merge({ description: 'x', addressRequest: { ...ask } }));
  t.deepEqual(same.resource.addresses, ['198.18.0.1']);
  const other = updateLoadBalancer(given, 'lb', merge({ addressRequest: { ...ask, pool: '', scope: 'PUBLIC' } }));
  t.deepEqual(other.resource.addresses, ['198.18.0.1'], 'whether it may stay is decided with the pools');
  const fixed = updateLoadBalancer(given, 'lb', merge({ addresses: ['192.0.2.1'] }));
  t.like(fixed.resource, { addresses: ['192.0.2.1'], addressRequest: null });
  t.throws(() => updateLoadBalancer(given, 'lb', merge({ addresses: ['192.0.2.1'], addressRequest: { ...ask } })), {
    instanceOf: InvalidError,
  });
});

test('a backend named by its address cannot move to another', (t) => {
  const move = () => updateBackend(state, { groupName: 'web', name: '203.0.113.2' }, merge({ address: '203.0.113.3' }));
  const error = t.throws(move, { instanceOf: InvalidError });
  t.deepEqual(
    error!.violations.map(({ field }) => field),
    ['backend.address'],
  );
  const same = updateBackend(state, { groupName: 'web', name: 'be1' }, merge({ address: '203.0.113.3' }));
  t.is(same.resource.address, '203.0.113.3');
});

test('what is not there, what is there, and what is in use are told apart', (t) => {
  const keep = <T>(before: T) => before;
  t.throws(() => updateBackend(state, { groupName: 'wbe', name: 'be1' }, keep), { message: 'no backend group "wbe"' });
  t.throws(() => updateBackend(state, { groupName: 'web', name: 'x' }, keep), { instanceOf: NotFoundError });
  t.throws(() => deleteListener(state, { balancerName: 'x', name: 'https' }), { message: 'no LoadBalancer "x"' });
  t.throws(() => createListener(state, 'lb', toConfig(state).loadBalancers[0]!.listeners[0]!), {
    instanceOf: AlreadyExistsError,
  });
  t.throws(() => deleteBackendGroup(state, 'web'), {
    instanceOf: PreconditionError,
    message: 'listener "lb/https" uses backend group "web": delete it, or name another group there, first',
  });
  t.is(deleteBackendGroup(state, 'spare').backendGroups.length, 1);
});

test('a fault in another resource than the changed one is named by its place in the document', (t) => {
  const { desired: withPort } = updateBackend(state, { groupName: 'web', name: 'be1' }, merge({ port: 443 }));
  const error = t.throws(() => updateListener(withPort, { balancerName: 'lb', name: 'https' }, merge({ port: 8443 })), {
    instanceOf: InvalidError,
  });
  t.is(error!.violations[0]!.field, 'backendGroups[0].backends[0].port');
});
