import { familyOf, parseIp } from '../base/ip.js';
import type { AgreementConfig, NodeConfig, SyncConfig, ZonesConfig } from './cluster.js';
import { parsePath, type Section } from './section.js';
import { show } from './violations.js';

const SYNC_PORT = 3490;
/** Organization-local scope (RFC 2365): no router forwards it unless told to. */
const SYNC_GROUP = '239.83.87.1';
/** A node keeps a window and a ring for each peer. */
const MOST_PEERS = 63;

export const path = { parse: parsePath, expected: 'an absolute path without ".."' };
export const ip = { parse: parseIp, expected: 'an IP address' };
const interfaceName = {
  parse: (text: string) => (/^[^\s/:]{1,15}$/.test(text) ? text : null),
  expected: 'the name of an interface, up to 15 characters,',
};

/** @param hostname this host's, which names the node unless the file does. */
export function readNode(node: Section, hostname: string): NodeConfig {
  const rule = (text: string) => (/^[A-Za-z0-9][\w.-]{0,62}$/.test(text) ? text : null);
  const expected = 'a letter or digit, then letters, digits, "-", "_" or ".", up to 63 characters,';
  const given = node.text<string | null>('name', null, { parse: rule, expected });
  if (given === null && rule(hostname) === null) {
    node.fail('name', `required: this host's name, ${show(hostname)}, cannot name a node`);
  }
  const read: NodeConfig = {
    name: given ?? hostname,
    zone: node.text('zone', '', {
      parse: (text) => (/^[\w.-]{0,63}$/.test(text) ? text : null),
      expected: 'letters, digits, "-", "_" or ".", up to 63 characters,',
    }),
    onTermination: node.choice('onTermination', 'keep', ['keep', 'drain']),
    drainTimeoutMs: node.duration('drainTimeout', '60s', { min: '1s', max: '60m' }),
  };
  node.refuseUnknown();
  return read;
}

export function readSync(sync: Section): SyncConfig {
  const device = sync.text('interface', '', interfaceName);
  if (device === '') sync.fail('interface', 'required: the interface that the nodes of the cluster share');
  const peers = readPeers(sync);
  const group = sync.text<string | null>('group', null, {
    parse: (text) => (isGroup(text) ? parseIp(text) : null),
    expected:
      'a multicast address, as "239.83.87.1" or "ff15::83:87"; 224.0.0.0/24 is for routing protocols and not it,',
  });
  if (group !== null && peers.length > 0) {
    sync.fail('group', 'set beside peers: datagrams go either to a group or to each peer; leave one of them out');
  }
  const read: SyncConfig = {
    interface: device,
    address: sync.text<string | null>('address', null, ip),
    group: peers.length > 0 ? null : (group ?? SYNC_GROUP),
    port: sync.integer('port', SYNC_PORT, { min: 1, max: 65_535 }),
    peers,
    keyFile: sync.text<string | null>('keyFile', null, path),
    recordsPerSecond: sync.integer('recordsPerSecond', 250_000, { min: 1000, max: 10_000_000 }),
    joinTimeoutMs: sync.duration('joinTimeout', '30s', { min: '1s', max: '10m' }),
    tls: readTls(sync.optional('tls')),
  };
  const other = read.group ?? peers[0];
  if (read.address !== null && other !== undefined && familyOf(read.address) !== familyOf(other)) {
    sync.fail('address', `${show(read.address)}: not of the family of ${other}, which datagrams go to`);
  }
  sync.refuseUnknown();
  return read;
}

function isGroup(text: string): boolean {
  const address = parseIp(text);
  if (address === null) return false;
  if (familyOf(address) === 6) return /^ff/i.test(address);
  const first = Number(address.split('.')[0]);
  return first >= 224 && first <= 239 && !address.startsWith('224.0.0.');
}

function readPeers(sync: Section): string[] {
  const given = sync.list('peers') ?? [];
  if (given.length > MOST_PEERS) sync.fail('peers', `${given.length} peers; at most ${MOST_PEERS}`);
  const peers: string[] = [];
  given.forEach((value, index) => {
    const where = `peers[${index}]`;
    const address = typeof value === 'string' ? parseIp(value) : null;
    if (address === null) sync.failAt(where, `${show(value)}: the IP address of another node is expected`);
    else if (peers.includes(address)) sync.failAt(where, `${show(value)} is given twice`);
    else if (peers.length > 0 && familyOf(peers[0]!) !== familyOf(address)) {
      sync.failAt(where, `${show(value)}: not of the family of ${peers[0]}; all peers are IPv4 or all are IPv6`);
    } else peers.push(address);
  });
  return peers;
}

function readTls(tls: Section | null): SyncConfig['tls'] {
  if (tls === null) return null;
  const file = (key: string) => {
    const name = tls.text(key, '', path);
    if (name === '') tls.fail(key, 'required: the path of a PEM file');
    return name;
  };
  const read = { certificate: file('certificate'), key: file('key'), ca: file('ca') };
  tls.refuseUnknown();
  return read;
}

export function readAgreement(agreement: Section): AgreementConfig {
  const read: AgreementConfig = {
    quorum: agreement.choiceOrInteger('quorum', 'majority', { choices: ['majority'], min: 1, max: 64 }),
    suspectPercent: agreement.integer('suspectPercent', 50, { min: 1, max: 100 }),
    suspectWithdraws: agreement.flag('suspectWithdraws', false),
  };
  agreement.refuseUnknown();
  return read;
}

export function readZones(zones: Section): ZonesConfig {
  const read = { holdDownMs: zones.duration('holdDown', '10s', { min: '0s', max: '60m' }) };
  zones.refuseUnknown();
  return read;
}
