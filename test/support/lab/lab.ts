/** A lab of scripts/lab, from a test: one lab for each test file. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BackendMethods } from './backend.js';
import type { ClientMethods } from './client.js';
import { Peer } from './peer.js';

const script = fileURLToPath(new URL('../../../../scripts/lab', import.meta.url));

export type HostName = 'client' | 'router' | 'bridge' | 'lb1' | 'lb2' | 'lb3' | 'lb4' | 'be1' | 'be2' | 'be3';
export const backendNames = ['be1', 'be2', 'be3'] as const;
export type BackendName = (typeof backendNames)[number];

export const vip4 = '192.0.2.10';
export const vip6 = '2001:db8:10::10';
export const client4 = '198.51.100.2';
export const client6 = '2001:db8:100::2';
export const address4 = { be1: '203.0.113.21', be2: '203.0.113.22', be3: '203.0.113.23' } as const;
export const address6 = { be1: '2001:db8:200::21', be2: '2001:db8:200::22', be3: '2001:db8:200::23' } as const;

/** On the second network. */
export const back4 = { be1: '198.18.1.21', be2: '198.18.1.22', be3: '198.18.1.23' } as const;
export const back6 = { be1: '2001:db8:300::21', be2: '2001:db8:300::22', be3: '2001:db8:300::23' } as const;

/** As the options of `scripts/lab up`. */
export interface Topology {
  readonly back?: 'own' | 'shared';
  readonly frontVlan?: number;
  readonly backVlan?: number;
  readonly mtu?: number;
  /** lb1 to lb3, and BIRD on the router; with zones lb4, too. */
  readonly cluster?: 'one zone' | 'two zones';
}

/** This kernel cannot do what a test wants of it. */
export class Unsupported extends Error {}

export interface Ended {
  /** null: by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Lab {
  private constructor(readonly name: string) {}

  static async up(name: string, topology: Topology = {}): Promise<Lab> {
    const lab = new Lab(name);
    const { code, stderr } = await run([script, 'up', '--name', name, ...optionsOf(topology)]);
    if (code === 3) throw new Unsupported(stderr.trim());
    if (code !== 0) throw new Error(`lab up: ${stderr}`);
    return lab;
  }

  async down(): Promise<void> {
    const { code, stderr } = await run([script, 'down', '--name', this.name]);
    if (code !== 0) throw new Error(`lab down: ${stderr}`);
  }

  /** Of this lab, gone with it. */
  directory(...names: readonly string[]): string {
    const path = ['/run/spillway', this.name, ...names].join('/');
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** `scripts/lab upgrade`: agents by those of another checkout, or of this one. */
  upgrade(to: string | null = null): Promise<Ended> {
    return run([script, 'upgrade', '--name', this.name, ...(to === null ? [] : ['--to', to])]);
  }

  /** The words that run a command on a host. */
  command(host: HostName, ...words: readonly string[]): string[] {
    return [script, 'exec', host, '--name', this.name, '--', ...words];
  }

  exec(host: HostName, ...words: readonly string[]): Promise<Ended> {
    return run(this.command(host, ...words));
  }

  /** @throws Error with what it said unless it exits 0. */
  async must(host: HostName, ...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.exec(host, ...words);
    if (code !== 0) throw new Error(`${host}: ${words.join(' ')}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  client(): Peer<ClientMethods> {
    return new Peer<ClientMethods>(this.command('client'), './client.js');
  }

  /** Servers on a backend, not yet listening. */
  backend(host: BackendName): Peer<BackendMethods> {
    return new Peer<BackendMethods>(this.command(host), './backend.js');
  }
}

function optionsOf({ back, frontVlan, backVlan, mtu, cluster }: Topology): string[] {
  const given = { '--back': back, '--front-vlan': frontVlan, '--back-vlan': backVlan, '--mtu': mtu };
  return [
    ...Object.entries(given).flatMap(([option, value]) => (value === undefined ? [] : [option, String(value)])),
    ...(cluster === undefined ? [] : [cluster === 'one zone' ? '--cluster' : '--zones']),
  ];
}

function run([file, ...words]: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(file!, words, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error);
      else resolve({ code: error === null ? 0 : ((error.code as number | undefined) ?? null), stdout, stderr });
    });
  });
}
