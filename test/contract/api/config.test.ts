import test from 'ava';
import { until } from '../../support/lab/until.js';
import { refused, sample, startApi } from './harness.js';

test('a document that is applied is in force with its defaults written out', async (t) => {
  const { client } = await startApi(t);
  const answer = await client.config.apply({ config: sample });
  t.deepEqual(answer, { version: 1n, changed: true, steps: ['load balancer web'], stepCount: 1 });

  const { config, version, appliedAt } = await client.config.get();
  t.is(version, 1n);
  t.deepEqual(appliedAt, { seconds: 1_700_000_000n, nanos: 123_000_000 });
  const [listener] = config!.loadBalancers[0]!.listeners;
  t.is(listener!.name, 'tcp-443');
  t.is(listener!.scheduler, 'TCH');
  t.deepEqual(listener!.sessionTimeout, { seconds: 900n, nanos: 0 });
  t.is(config!.backendGroups[0]!.backends[0]!.weight, 100);

  const again = await client.config.apply({ config: config! });
  t.like(again, { version: 1n, changed: false, stepCount: 0 }, 'what Get gives is the state in force');
});

test('before the first apply the version is 0 and nothing was applied', async (t) => {
  const { client } = await startApi(t);
  t.deepEqual(await client.config.get(), {
    config: { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] },
    version: 0n,
    appliedAt: null,
  });
});

test('validate_only says what would be done and changes nothing', async (t) => {
  const { client, agent } = await startApi(t);
  t.like(await client.config.apply({ config: sample, validateOnly: true }), { changed: true, version: 0n });
  t.is(agent.current.version, 0);
});

test('another version than the expected one is ABORTED, with both versions as values', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample, expectedVersion: 0 });
  const error = await refused(t, client.config.apply({ config: {}, expectedVersion: 0 }));
  t.is(error.code, 'ABORTED');
  t.deepEqual(error.details.info, {
    reason: 'VERSION_CONFLICT',
    metadata: { expectedVersion: '0', actualVersion: '1' },
  });
});

test('every field at fault is named at once, and nothing changes', async (t) => {
  const { client, agent } = await startApi(t);
  const error = await refused(
    t,
    client.config.apply({
      config: {
        loadBalancers: [
          { name: '1', addresses: ['127.0.0.1'], listeners: [{ protocol: 'TCP', port: 70_000, backendGroup: 'wbe' }] },
        ],
        backendGroups: [{ name: 'web', forwarding: 'IPIP', backends: [{ address: '203.0.113.9', weight: 101 }] }],
      },
    }),
  );
  t.is(error.code, 'INVALID_ARGUMENT');
  t.deepEqual(
    error.violations.map(({ field }) => field),
    [
      'loadBalancers[0].name',
      'loadBalancers[0].addresses[0]',
      'loadBalancers[0].listeners[0].port',
      'backendGroups[0].backends[0].weight',
      'loadBalancers[0].listeners[0].backendGroup',
    ],
  );
  t.is(agent.applies, 0);
});

test('a request without a document is refused; an empty document removes everything', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  t.deepEqual((await refused(t, client.config.apply({}))).violations[0]?.field, 'config');
  t.like(await client.config.apply({ config: {} }), { changed: true, version: 2n });
});

test('a thousand violations leave room for the words that count the rest', async (t) => {
  const { client } = await startApi(t);
  const backends = Array.from({ length: 1000 }, (_, index) => ({ address: `not-an-address-${index}` }));
  const config = { backendGroups: [{ name: 'web', forwarding: 'IPIP', backends }] } as const;
  const { violations, message } = await refused(t, client.config.apply({ config }));
  t.is(violations[0]?.field, 'backendGroups[0].backends[0].address');
  t.regex(message, /and 999 more/);
  const last = violations.at(-1)!;
  t.is(last.description, `and ${1000 - violations.length + 1} more, which do not fit here: mend these first`);
});

test('Watch gives the state now and after each change, and ends when the loop is left', async (t) => {
  const { client, agent } = await startApi(t);
  const versions: bigint[] = [];
  for await (const { version } of client.config.watch()) {
    versions.push(version);
    if (versions.length === 1) await client.config.apply({ config: sample });
    if (versions.length === 2) await client.config.deleteBackend({ backendGroup: 'web', name: 'be2' });
    if (versions.length === 3) break;
  }
  t.deepEqual(versions, [0n, 1n, 2n]);
  await until('the server stops watching', () => agent.configWatchers.size === 0);
});

test('a listener, a group and a backend are created, updated and deleted one by one', async (t) => {
  const { client } = await startApi(t);
  const group = await client.config.createBackendGroup({ backendGroup: { name: 'dns', forwarding: 'IPIP' } });
  t.deepEqual(group, {
    name: 'dns',
    forwarding: 'IPIP',
    backends: [],
    description: '',
    tunnelPort: 0,
    portMapping: false,
  });
  const backend = await client.config.createBackend({ backendGroup: 'dns', backend: { address: '203.0.113.5' } });
  const { quicServerId, ...rest } = backend;
  t.deepEqual(rest, { name: '203.0.113.5', address: '203.0.113.5', port: 0, weight: 100, zone: '' });
  t.is(quicServerId.length, 0);
  const balancer = await client.config.createLoadBalancer({
    loadBalancer: { name: 'dns', addresses: ['192.0.2.53'], labels: { team: 'a' } },
  });
  t.deepEqual(balancer.labels, { team: 'a' });
  const listener = await client.config.createListener({
    loadBalancer: 'dns',
    listener: { protocol: 'UDP', port: 53, backendGroup: 'dns' },
  });
  t.is(listener.name, 'udp-53');

  const slower = await client.config.updateListener({
    loadBalancer: 'dns',
    listener: { name: 'udp-53', sessionTimeout: { seconds: 30 } },
  });
  t.deepEqual(slower.sessionTimeout, { seconds: 30n, nanos: 0 });
  t.is(slower.port, 53);
  await client.config.updateBackend({ backendGroup: 'dns', backend: { name: '203.0.113.5', weight: 0 } });
  await client.config.updateBackendGroup({ backendGroup: { name: 'dns', description: 'resolvers' } });
  await client.config.updateLoadBalancer({ loadBalancer: { name: 'dns', addresses: ['192.0.2.54'] } });
  const { config, version } = await client.config.get();
  t.is(version, 8n);
  t.is(config!.backendGroups[0]!.backends[0]!.weight, 0);
  t.is(config!.backendGroups[0]!.description, 'resolvers');
  t.deepEqual(config!.loadBalancers[0]!.addresses, ['192.0.2.54']);
  t.is(config!.loadBalancers[0]!.listeners.length, 1, 'what the update does not name stays');

  await client.config.deleteListener({ loadBalancer: 'dns', name: 'udp-53' });
  await client.config.deleteBackend({ backendGroup: 'dns', name: '203.0.113.5' });
  await client.config.deleteLoadBalancer({ name: 'dns' });
  await client.config.deleteBackendGroup({ name: 'dns' });
  t.deepEqual((await client.config.get()).config, {
    loadBalancers: [],
    backendGroups: [],
    accessLists: [],
    addressPools: [],
  });
});

test('an update mask resets what the request leaves unset', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const update = (paths: string[]) =>
    client.config.updateBackend({ backendGroup: 'web', backend: { name: 'be2', zone: 'b' }, updateMask: { paths } });
  t.like(await update(['zone']), { weight: 50, zone: 'b' });
  t.like(await update(['weight']), { weight: 100, zone: 'b' });
  const { violations } = await refused(t, update(['wieght']));
  t.is(violations[0]!.field, 'updateMask');
  t.regex(violations[0]!.description, /did you mean "weight"/);
});

test('what says how VIPs are announced is set and unset field by field', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const update = (announcement: object, paths: string[]) =>
    client.config.updateLoadBalancer({
      loadBalancer: { name: 'web', primaryZone: 'a', secondaryZone: 'b', announcement },
      updateMask: { paths },
    });
  const all = { minimumHealthyBackends: 2, keepWhenEmpty: true, med: 0, prepend: 3, communities: ['65000:1'] };
  const first = await update(all, ['primary_zone', 'secondary_zone', 'announcement']);
  t.like(first, { primaryZone: 'a', secondaryZone: 'b' });
  t.deepEqual(first.announcement, all);
  const second = await update({ prepend: 1 }, ['announcement.med', 'announcement.prepend']);
  const { med: _, ...rest } = all;
  t.deepEqual(second.announcement, { ...rest, prepend: 1 });
  const third = await update({}, ['announcement']);
  t.deepEqual(third.announcement, {
    minimumHealthyBackends: 1,
    keepWhenEmpty: false,
    prepend: 0,
    communities: [],
  });
  const listener = { name: 'tcp-443', locality: { preferOwnZone: true, minimumHealthyPercent: 50 } };
  const prefers = await client.config.updateListener({
    loadBalancer: 'web',
    listener,
    updateMask: { paths: ['locality'] },
  });
  t.like(prefers.locality, { preferOwnZone: true, minimumHealthyPercent: 50 });
  const not = { name: 'tcp-443', locality: { preferOwnZone: false } };
  const off = await client.config.updateListener({
    loadBalancer: 'web',
    listener: not,
    updateMask: { paths: ['locality.prefer_own_zone'] },
  });
  t.is(off.locality, null);
});

test('a mask may go into a message', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const listener = await client.config.updateListener({
    loadBalancer: 'web',
    listener: { name: 'tcp-443', healthCheck: { http: { path: '/ready' }, interval: { nanos: 500_000_000 } } },
    updateMask: { paths: ['health_check'] },
  });
  t.is(listener.healthCheck?.http?.path, '/ready');
  const faster = await client.config.updateListener({
    loadBalancer: 'web',
    listener: { name: 'tcp-443', healthCheck: { rise: 1 } },
    updateMask: { paths: ['health_check.rise', 'health_check.interval'] },
  });
  t.like(faster.healthCheck, { rise: 1, interval: { seconds: 2n, nanos: 0 } });
  t.is(faster.healthCheck?.http?.path, '/ready');
  const tcp = await client.config.updateListener({
    loadBalancer: 'web',
    listener: { name: 'tcp-443', healthCheck: { tcp: {} } },
    updateMask: { paths: ['health_check.tcp'] },
  });
  t.is(tcp.healthCheck?.http, undefined);
  t.deepEqual(tcp.healthCheck?.tcp, {});
});

test('NOT_FOUND and ALREADY_EXISTS name the resource', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const missing = await refused(t, client.config.deleteListener({ loadBalancer: 'web', name: 'udp-53' }));
  t.is(missing.code, 'NOT_FOUND');
  t.is(missing.message, 'no listener "udp-53"');
  const twice = await refused(t, client.config.createBackendGroup({ backendGroup: { name: 'web' } }));
  t.is(twice.code, 'ALREADY_EXISTS');
  t.regex(twice.message, /backend group "web" exists already/);
});

test('a group that a listener uses cannot be deleted', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const error = await refused(t, client.config.deleteBackendGroup({ name: 'web' }));
  t.is(error.code, 'FAILED_PRECONDITION');
  t.regex(error.message, /listener "web\/tcp-443" uses backend group "web"/);
  t.regex(error.details.preconditions[0]!.description, /tcp-443/);
});

test('access lists and pools are created, updated and deleted one by one', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const list = await client.config.createAccessList({
    accessList: { name: 'bad', entries: ['198.51.100.7/32', '10.0.0.0/8'] },
  });
  t.deepEqual(list, { name: 'bad', entries: ['10.0.0.0/8', '198.51.100.7'], description: '' });
  const changed = await client.config.changeAccessListEntries({
    name: 'bad',
    add: ['2001:db8::/32', '10.0.0.0/8'],
    remove: ['198.51.100.7', '192.0.2.1'],
  });
  t.deepEqual(changed, { added: 1, removed: 1, entryCount: 2 });
  const described = await client.config.updateAccessList({ accessList: { name: 'bad', description: 'x' } });
  t.deepEqual(described, { name: 'bad', entries: ['10.0.0.0/8', '2001:db8::/32'], description: 'x' });
  const emptied = { accessList: { name: 'bad' }, updateMask: { paths: ['entries'] } };
  t.deepEqual((await client.config.updateAccessList(emptied)).entries, []);

  const pool = await client.config.createAddressPool({
    addressPool: { name: 'p', scope: 'PRIVATE', prefixes: ['10.1.0.0/16'], reserved: ['10.1.0.1'] },
  });
  t.deepEqual(pool, {
    name: 'p',
    scope: 'PRIVATE',
    prefixes: ['10.1.0.0/16'],
    reserved: ['10.1.0.1'],
    description: '',
  });
  t.deepEqual((await client.config.updateAddressPool({ addressPool: { name: 'p', scope: 'PUBLIC' } })).scope, 'PUBLIC');

  const listener = { name: 'tcp-443', accessControl: { mode: 'ALLOW', accessList: 'bad' } } as const;
  await client.config.updateListener({ loadBalancer: 'web', listener });
  const asking = { name: 'asks', addressRequest: { pool: 'p' } };
  t.like(await client.config.createLoadBalancer({ loadBalancer: asking }), {
    addresses: [],
    addressRequest: { pool: 'p', scope: 'ADDRESS_SCOPE_UNSPECIFIED', families: ['IPV4'] },
  });
  for (const [call, words] of [
    [client.config.deleteAccessList({ name: 'bad' }), /listener "web\/tcp-443" uses access list "bad"/],
    [client.config.deleteAddressPool({ name: 'p' }), /LoadBalancer "asks" has its addresses from address pool "p"/],
  ] as const) {
    const error = await refused(t, call);
    t.is(error.code, 'FAILED_PRECONDITION');
    t.regex(error.message, words);
  }
  const noControl = { loadBalancer: 'web', listener: { name: 'tcp-443' }, updateMask: { paths: ['access_control'] } };
  t.is((await client.config.updateListener(noControl)).accessControl, null);
  await client.config.deleteLoadBalancer({ name: 'asks' });
  await client.config.deleteAccessList({ name: 'bad' });
  await client.config.deleteAddressPool({ name: 'p' });
  t.like((await client.config.get()).config, { accessLists: [], addressPools: [] });
});

test('a change of entries that contradicts itself, or of a list that is not there, is refused', async (t) => {
  const { client } = await startApi(t);
  await client.config.createAccessList({ accessList: { name: 'bad' } });
  const both = { name: 'bad', add: ['10.0.0.0/8', '10.0.0.1/8'], remove: ['10.0.0.0/8'] };
  const { violations } = await refused(t, client.config.changeAccessListEntries(both));
  t.deepEqual(
    violations.map(({ field }) => field),
    ['add[1]', 'remove'],
  );
  t.is((await refused(t, client.config.changeAccessListEntries({ name: 'x' }))).code, 'NOT_FOUND');
});

test('entries that are added at the same time all get there', async (t) => {
  const { client } = await startApi(t);
  await client.config.createAccessList({ accessList: { name: 'bad' } });
  const add = Array.from({ length: 20 }, (_, number) => `192.0.2.${number}`);
  await Promise.all(add.map((entry) => client.config.changeAccessListEntries({ name: 'bad', add: [entry] })));
  t.is((await client.config.get()).config!.accessLists[0]!.entries.length, 20);
});

test('a refusal of one change speaks of the fields of its request', async (t) => {
  const { client } = await startApi(t);
  await client.config.apply({ config: sample });
  const weight = await refused(
    t,
    client.config.updateBackend({ backendGroup: 'web', backend: { name: 'be1', weight: 101 } }),
  );
  t.deepEqual(weight.violations, [{ field: 'backend.weight', description: '101 is not within 0 to 100 (0 drains)' }]);
  const vip = await refused(t, client.config.createBackend({ backendGroup: 'web', backend: { address: '192.0.2.1' } }));
  t.is(vip.violations[0]!.field, 'backend.address');
  const port = await refused(
    t,
    client.config.createListener({
      loadBalancer: 'web',
      listener: { protocol: 'TCP', port: 443, backendGroup: 'web' },
    }),
  );
  t.is(port.code, 'ALREADY_EXISTS');
  const overlapping = await refused(
    t,
    client.config.createListener({
      loadBalancer: 'web',
      listener: { name: 'other', protocol: 'TCP', port: 443, backendGroup: 'web' },
    }),
  );
  t.is(overlapping.violations[0]!.field, 'listener.port');
  t.regex(overlapping.violations[0]!.description, /taken by listener "tcp-443"/);
});

test('a change that meets another one is made again on the state after it', async (t) => {
  const { client, agent } = await startApi(t);
  await client.config.apply({ config: sample });
  let rivals = 3;
  agent.beforeApply = () => {
    if (rivals-- > 0) agent.put({ ...agent.current.desired });
  };
  t.is((await client.config.updateBackend({ backendGroup: 'web', backend: { name: 'be1', weight: 7 } })).weight, 7);
  t.is(agent.current.version, 5);
  t.is(agent.current.desired.backendGroups[0]!.backends[0]!.weight, 7);
});
