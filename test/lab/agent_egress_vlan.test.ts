/**
 * VLANs on either side, each between real VLAN devices: in by one VLAN and out by another of the same cable, untagged in
 * and tagged out, tagged in and untagged out, and by another interface. Left out where the kernel has no VLANs:
 * scripts/vm has one that does.
 */
import { spawnSync } from 'node:child_process';
import anyTest, { type TestFn } from 'ava';
import type { Cluster } from '../support/lab/cluster.js';
import { type Site, startSite, testSite } from '../support/lab/steered.js';

const probe = 'ip link add v0 type veth peer name v1 && ip link add link v0 name v0.2 type vlan id 2';
const hasVlans = spawnSync('unshare', ['--net', 'sh', '-c', probe]).status === 0;

const sites: readonly Site[] = [
  {
    name: 'eg-vv',
    topology: { back: 'shared', frontVlan: 10, backVlan: 20 },
    backendInterface: 'eth0',
    egress: { egressInterface: 'eth0.20', egressVlan: 20 },
    settings: () => ({ interfaces: ['eth0.10', 'eth0.20'] }),
  },
  {
    name: 'eg-uv',
    topology: { back: 'shared', backVlan: 20 },
    backendInterface: 'eth0',
    egress: { egressInterface: 'eth0.20', egressVlan: 20 },
    settings: () => ({ interfaces: ['eth0'] }),
    ways: ['l2', 'gue4'],
  },
  {
    name: 'eg-vu',
    topology: { back: 'shared', frontVlan: 10 },
    backendInterface: 'eth0',
    egress: { egressInterface: 'eth0', egressVlan: 0 },
    settings: () => ({ interfaces: ['eth0.10'] }),
    ways: ['l2', 'ipip4'],
  },
  {
    name: 'eg-vov',
    topology: { back: 'own', frontVlan: 10, backVlan: 30 },
    backendInterface: 'eth1',
    egress: { egressInterface: 'eth1.30', egressVlan: 30 },
    settings: (host) => ({ interfaces: ['eth0.10', 'eth1.30'], xdpMode: host === 'lb1' ? 'native' : 'generic' }),
    ways: ['l2', 'gue6'],
  },
];

/** One after the other: each site has a lab of its own. */
let cluster: Cluster | null = null;

anyTest.after.always(() => cluster?.close());

if (!hasVlans)
  anyTest('VLANs', (t) => {
    t.log('left out: this kernel has no VLAN devices; scripts/vm -- node_modules/.bin/ava --serial on this file has');
    t.pass();
  });
else
  for (const site of sites) {
    anyTest.serial(`${site.name}: up`, async (t) => {
      t.timeout(600_000);
      await cluster?.close();
      cluster = await startSite(site);
      t.pass();
    });
    testSite(site, () => cluster!, anyTest as TestFn);
  }
