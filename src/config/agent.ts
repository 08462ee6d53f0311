import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { InvalidError } from '../base/errors.js';
import { readAgreement, readNode, readSync, readZones } from './agent_cluster.js';
import { readRoutes } from './agent_routes.js';
import type { AgreementConfig, NodeConfig, RoutesConfig, SyncConfig, ZonesConfig } from './cluster.js';
import { type Endpoint, parseEndpoint, parsePath, Section } from './section.js';
import { parseText } from './text.js';
import { show, wholeDocument } from './violations.js';

/** spillwayd's own configuration file: this node, not the desired state. */
export interface AgentConfig {
  /** Names the pins and the state directory: agents of different instances can share a host. */
  readonly instance: string;
  /** At least one. */
  readonly interfaces: readonly string[];
  readonly xdpMode: 'auto' | 'native' | 'generic';
  readonly listen: {
    /** Path of the unix socket. */
    readonly unix: string | null;
    readonly tcp: TcpListen | null;
  };
  readonly metrics: Endpoint | null;
  readonly stateDirectory: string;
  readonly pinDirectory: string;
  /** Where the BPF objects are; null: beside the program. */
  readonly objectDirectory: string | null;
  readonly limits: Limits;
  /** Holds the secret that a cluster's nodes share: see readClusterSecret. */
  readonly clusterSecretFile: string | null;
  readonly node: NodeConfig;
  /** null: this node keeps its sessions to itself. */
  readonly sync: SyncConfig | null;
  readonly agreement: AgreementConfig;
  readonly zones: ZonesConfig;
  /** null: somebody else routes the VIPs. */
  readonly routes: RoutesConfig | null;
  readonly icmp: IcmpConfig;
  readonly fragments: FragmentsConfig;
  readonly reconcileIntervalMs: number;
  readonly healthChecks: { readonly concurrency: number };
  readonly metering: {
    /** Files of older days are removed. */
    readonly keepDays: number;
    /** Backends' programs that report their traffic here, at most. */
    readonly reporters: number;
  };
  readonly log: { readonly level: LogLevel; readonly pretty: boolean };
}

export interface TcpListen extends Endpoint {
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly key: string;
  /** Clients need a certificate of this authority. */
  readonly clientCa: string;
}

/** At most so many each second on this node; 0: never. */
export interface IcmpConfig {
  /** Echo requests to VIPs answered. */
  readonly echoPerSecond: number;
  /** "Too big" told to clients. */
  readonly errorsPerSecond: number;
}

export interface FragmentsConfig {
  /** Fragments held because their datagram's first one has not come yet; 0: they are dropped. */
  readonly earlyPerSecond: number;
}

/** Sizes of the maps; what exceeds them is refused. */
export interface Limits {
  readonly sessions: number;
  /** VIP, protocol and port: one listener on two VIPs is two services. */
  readonly services: number;
  readonly backends: number;
  readonly backendGroups: number;
  readonly vips: number;
  /** Of all access lists together. */
  readonly accessListEntries: number;
  /** Datagrams in fragments whose first one is remembered at once. */
  readonly fragments: number;
  /** Of the memory of new sessions per client, 8 bytes each. */
  readonly sourceCells: number;
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** IFNAMSIZ is 16 with its final NUL. */
const interfacePattern = /^[^\s/:]{1,15}$/;
const path = { parse: parsePath, expected: 'an absolute path without ".."' };

/** @throws InvalidError naming the file when it cannot be read, else every field at fault. */
export function loadAgentConfig(file: string): AgentConfig {
  return parseAgentConfig(read(file, wholeDocument).toString('utf8'));
}

/** @throws InvalidError naming every field at fault. */
export function parseAgentConfig(text: string): AgentConfig {
  const root = new Section(parseText(text));
  const instance = root.text('instance', 'default', {
    parse: (name) => (/^[A-Za-z][\w-]{0,31}$/.test(name) ? name : null),
    expected: 'a letter, then letters, digits, "-" or "_", up to 32 characters,',
  });
  const stateDirectory = root.text('stateDirectory', `/var/lib/spillway/${instance}`, path);
  const sync = root.optional('sync');
  const routes = root.optional('routes');
  const config: AgentConfig = {
    instance,
    interfaces: readInterfaces(root),
    xdpMode: root.choice('xdpMode', 'auto', ['auto', 'native', 'generic']),
    listen: readListen(root.section('listen')),
    metrics: readMetrics(root.section('metrics')),
    stateDirectory,
    pinDirectory: root.text('pinDirectory', '/sys/fs/bpf/spillway', path),
    objectDirectory: root.text<string | null>('objectDirectory', null, path),
    limits: readLimits(root.section('limits')),
    clusterSecretFile: root.text<string | null>('clusterSecretFile', null, path),
    node: readNode(root.section('node'), hostname()),
    sync: sync && readSync(sync),
    agreement: readAgreement(root.section('agreement')),
    zones: readZones(root.section('zones')),
    routes: routes && readRoutes(routes, { instance, stateDirectory }),
    icmp: readIcmp(root.section('icmp')),
    fragments: readFragments(root.section('fragments')),
    reconcileIntervalMs: root.duration('reconcileInterval', '10s', { min: '100ms', max: '60m' }),
    healthChecks: readHealthChecks(root.section('healthChecks')),
    metering: readMetering(root.section('metering')),
    log: readLog(root.section('log')),
  };
  if (config.sync !== null && config.clusterSecretFile === null) {
    root.fail('sync', 'needs clusterSecretFile: nodes without a common secret cannot share sessions');
  }
  root.refuseUnknown();
  root.violations.throwIfAny();
  return config;
}

/**
 * The secret from which a cluster's keys are derived, without the white space around it; null where none is
 * configured: then this node's keys are its own.
 * @throws InvalidError when the file cannot be read or holds fewer than 16 bytes.
 */
export function readClusterSecret({ clusterSecretFile }: AgentConfig): Buffer | null {
  if (clusterSecretFile === null) return null;
  const secret = Buffer.from(read(clusterSecretFile, 'clusterSecretFile').toString('latin1').trim(), 'latin1');
  if (secret.length >= 16) return secret;
  const description = `${clusterSecretFile} holds ${secret.length} bytes, at least 16 are needed: try openssl rand -hex 32`;
  throw new InvalidError([{ field: 'clusterSecretFile', description }]);
}

function readInterfaces(root: Section): string[] {
  const names = root.list('interfaces');
  if (names === null) return [];
  if (names.length === 0) root.fail('interfaces', 'required: the interfaces that VIP traffic comes in by, as [eth0]');
  if (names.length > 8) root.fail('interfaces', `${names.length} interfaces; at most 8`);
  names.forEach((name, index) => {
    const where = `interfaces[${index}]`;
    if (typeof name !== 'string' || !interfacePattern.test(name)) {
      root.violations.add(where, `${show(name)}: the name of an interface, up to 15 characters, is expected`);
    } else if (names.indexOf(name) !== index) {
      root.violations.add(where, `${show(name)} is given twice`);
    }
  });
  return names.map(String);
}

function readListen(listen: Section): AgentConfig['listen'] {
  const unix = listen.isNull('unix') ? null : listen.text('unix', '/run/spillway/agent.sock', path);
  // sockaddr_un.sun_path is 108 bytes with its final NUL.
  if (unix !== null && Buffer.byteLength(unix) > 107) listen.fail('unix', `${show(unix)}: longer than 107 bytes`);
  const section = listen.optional('tcp');
  const tcp = section === null ? null : readTcp(section);
  if (unix === null && tcp === null) listen.fail('', 'nothing to listen on: set unix or tcp');
  listen.refuseUnknown();
  return { unix, tcp };
}

function readTcp(tcp: Section): TcpListen {
  const file = (key: string) => {
    const name = tcp.text(key, '', path);
    if (name === '') tcp.fail(key, 'required: the path of a PEM file; TCP is served with mutual TLS only');
    return name;
  };
  const endpoint = readEndpoint(tcp, { host: '0.0.0.0', port: 9154 });
  const read = { ...endpoint, certificate: file('certificate'), key: file('key'), clientCa: file('clientCa') };
  tcp.refuseUnknown();
  return read;
}

function readMetrics(metrics: Section): Endpoint | null {
  const off = metrics.isNull('address');
  const endpoint = readEndpoint(metrics, { host: '127.0.0.1', port: 9155 });
  metrics.refuseUnknown();
  return off ? null : endpoint;
}

function readEndpoint(section: Section, unset: Endpoint): Endpoint {
  return section.text('address', unset, {
    parse: (text) => {
      const endpoint = parseEndpoint(text);
      return endpoint !== null && isIP(endpoint.host) !== 0 ? endpoint : null;
    },
    expected: 'an address and port, as "127.0.0.1:9155" or "[::1]:9155",',
  });
}

function readLimits(limits: Section): Limits {
  const read = {
    sessions: limits.integer('sessions', 1_000_000, { min: 1000, max: 64_000_000 }),
    services: limits.integer('services', 4096, { min: 64, max: 65_535 }),
    backends: limits.integer('backends', 65_535, { min: 64, max: 65_535 }),
    backendGroups: limits.integer('backendGroups', 1024, { min: 8, max: 65_535 }),
    vips: limits.integer('vips', 4096, { min: 8, max: 65_535 }),
    accessListEntries: limits.integer('accessListEntries', 131_072, { min: 64, max: 1_048_576 }),
    fragments: limits.integer('fragments', 16_384, { min: 64, max: 4_194_304 }),
    sourceCells: limits.integer('sourceCells', 262_144, { min: 1024, max: 134_217_728 }),
  };
  limits.refuseUnknown();
  return read;
}

function readIcmp(icmp: Section): IcmpConfig {
  const read = {
    echoPerSecond: icmp.integer('echoPerSecond', 1000, { min: 0, max: 1_000_000 }),
    errorsPerSecond: icmp.integer('errorsPerSecond', 1000, { min: 0, max: 1_000_000 }),
  };
  icmp.refuseUnknown();
  return read;
}

function readFragments(fragments: Section): FragmentsConfig {
  const read = { earlyPerSecond: fragments.integer('earlyPerSecond', 1000, { min: 0, max: 100_000 }) };
  fragments.refuseUnknown();
  return read;
}

function readHealthChecks(healthChecks: Section): AgentConfig['healthChecks'] {
  const read = { concurrency: healthChecks.integer('concurrency', 2000, { min: 1, max: 65_535 }) };
  healthChecks.refuseUnknown();
  return read;
}

function readMetering(metering: Section): AgentConfig['metering'] {
  const read = {
    keepDays: metering.integer('keepDays', 400, { min: 1, max: 36_500 }),
    reporters: metering.integer('reporters', 4096, { min: 1, max: 65_536 }),
  };
  metering.refuseUnknown();
  return read;
}

function readLog(log: Section): AgentConfig['log'] {
  const read = { level: log.choice('level', 'info', logLevels), pretty: log.flag('pretty', false) };
  log.refuseUnknown();
  return read;
}

function read(file: string, field: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new InvalidError([{ field, description: `${file} cannot be read: ${(error as Error).message}` }]);
  }
}
