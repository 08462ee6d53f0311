import type { Endpoint } from './section.js';

/** What makes this node one of a cluster. */
export interface NodeConfig {
  /** Unique in the cluster; the host's name unless set. */
  readonly name: string;
  /** Empty: none. */
  readonly zone: string;
  /** On SIGTERM: `keep` leaves routes and forwarding in place, `drain` withdraws and waits for the traffic to move. */
  readonly onTermination: 'keep' | 'drain';
  readonly drainTimeoutMs: number;
}

/** Session synchronisation; null in AgentConfig: this node keeps its sessions to itself. */
export interface SyncConfig {
  /** That datagrams leave and come in by. */
  readonly interface: string;
  /** Own address on it; null: its first of the family needed. */
  readonly address: string | null;
  /** Multicast group, IPv4 or IPv6; null with `peers`. */
  readonly group: string | null;
  /** UDP, and TCP of the transfer. */
  readonly port: number;
  /** Unicast addresses of the other nodes, where multicast is not to be had; empty: multicast. */
  readonly peers: readonly string[];
  /** Keys of datagrams, 64 hexadecimal digits a line: the first signs, all are accepted; null: from the cluster secret. */
  readonly keyFile: string | null;
  /** Records announced each second at most. */
  readonly recordsPerSecond: number;
  /** How long a joining node tries to fetch the sessions before it goes on without. */
  readonly joinTimeoutMs: number;
  /** Of the transfer of tables between nodes; null: authenticated by the sync keys alone. */
  readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string } | null;
}

export interface AgreementConfig {
  /** Nodes that have to agree before a backend is taken out: more than half of those that see it, or so many (1: this node's word alone). */
  readonly quorum: 'majority' | number;
  /** Of the backends that others see healthy, in percent: a node that alone sees more of them down is suspect. */
  readonly suspectPercent: number;
  /** A suspect node withdraws its routes while another node announces. */
  readonly suspectWithdraws: boolean;
}

export interface ZonesConfig {
  /** How long a node of a zone that was gone whole waits before it announces again. */
  readonly holdDownMs: number;
}

export interface BgpNeighbor {
  readonly address: string;
  readonly as: number;
  /** TCP MD5; null: none. */
  readonly passwordFile: string | null;
  readonly multihop: number;
  readonly port: number;
}

/** How VIPs are announced; null in AgentConfig: somebody else routes them. */
export type RoutesConfig = BirdConfig | KernelTableConfig;

export interface RoutePreference {
  readonly med: number | null;
  /** Times that the own AS number is put in front. */
  readonly prepend: number;
  /** "65000:100", or large ones "65000:1:2". */
  readonly communities: readonly string[];
}

/** The agent renders BIRD 2's configuration and drives it by its control socket. */
export interface BirdConfig {
  readonly kind: 'bird';
  readonly localAs: number;
  readonly routerId: string;
  /** null: chosen by BIRD. */
  readonly localAddress4: string | null;
  readonly localAddress6: string | null;
  readonly neighbors: readonly BgpNeighbor[];
  /** null: no BFD. */
  readonly bfd: { readonly intervalMs: number; readonly multiplier: number } | null;
  readonly holdTimeSeconds: number;
  /** What all routes carry, and what they carry where this node's zone is the secondary one. */
  readonly primary: RoutePreference;
  readonly secondary: RoutePreference;
  readonly binary: string;
  readonly socket: string;
  readonly configFile: string;
  /** Start BIRD when nobody listens on its socket, and again when it dies. It outlives the agent. */
  readonly supervise: boolean;
}

/** /32 and /128 routes in a kernel table, for a BIRD or FRR whose configuration is not ours to export. */
export interface KernelTableConfig {
  readonly kind: 'kernel';
  readonly table: number;
  /** rtm_protocol of the routes. */
  readonly protocol: number;
  readonly primaryMetric: number;
  readonly secondaryMetric: number;
}

export type { Endpoint };
