/**
 * The data path as an agent's start leaves it: maps pinned, program on a link. Its clock stands still, so that what is
 * in one table can be compared with what was in another.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { ipToBytes, parseMac } from '../../src/base/ip.js';
import { compile } from '../../src/compile/compile.js';
import { flowTag } from '../../src/compile/fingerprint.js';
import { IdLedger } from '../../src/compile/ids.js';
import { plan } from '../../src/compile/plan.js';
import type { Desired } from '../../src/config/desired.js';
import { BpfProgram, interfaceIndex, queryXdp } from '../../src/dataplane/addon.js';
import { attach, detachAll } from '../../src/dataplane/attach.js';
import { type Pins, pinsOf } from '../../src/dataplane/layout.js';
import type { MigrationStep } from '../../src/dataplane/migration.js';
import { type OpenedMaps, openMaps, pinProgram } from '../../src/dataplane/open.js';
import { type SessionEntry, SessionTable } from '../../src/dataplane/session-table.js';
import { deriveKey, freshSettings, SettingsMap } from '../../src/dataplane/settings.js';
import { ControlTables } from '../../src/dataplane/tables.js';
import { frozenClock, lbMac, lbObjectFile } from './data_path.js';
import { seen } from './desired.js';
import { ethernet, ip4 } from './frame.js';
import { tcp } from './transport.js';

const key = deriveKey(Buffer.from('a key for tests'));
const bpffs = '/sys/fs/bpf';

/** Where it is and how large: of the same shape for a child that is to die. */
export interface Site {
  readonly instance: string;
  readonly sessions: number;
}

export function pinsAt({ instance }: Site): Pins {
  return pinsOf(`${bpffs}/spillway`, instance);
}

export function openAt(site: Site, onStep?: (step: MigrationStep) => void): OpenedMaps {
  return openMaps({
    pins: pinsAt(site),
    bpffs,
    objectFile: lbObjectFile,
    sizes: {
      sessions: site.sessions,
      services: 16,
      backends: 16,
      pools: 4,
      vips: 4,
      fragments: 64,
      accessListEntries: 16,
      sourceCells: 64,
    },
    frags: false,
    clock: frozenClock,
    ...(onStep ? { onStep } : {}),
  });
}

let sites = 0;

/** Left by runs that were killed. Names carry the pid of their owner. */
function removeStale(): void {
  for (const name of readdirSync('/sys/class/net')) {
    const owner = /^mig(\d+)x\d+$/.exec(name)?.[1];
    if (owner !== undefined && !readdirSync('/proc').includes(owner)) execFileSync('ip', ['link', 'del', name]);
  }
}

/** A device that no packet uses, and pins under a name of its own; both gone after the test. */
export function ownSite(t: { teardown(f: () => void): void }, sessions: number): Site & { readonly device: string } {
  if (sites === 0) removeStale();
  const instance = `t${process.pid}-mig-${sites}`;
  const device = `mig${process.pid}x${sites++}`;
  execFileSync('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`]);
  t.teardown(() => {
    detachAll(pinsAt({ instance, sessions }));
    execFileSync('ip', ['link', 'del', device]);
  });
  return { instance, sessions, device };
}

/** One start of an agent, as far as maps, program and link go. */
export class Start {
  readonly opened: OpenedMaps;
  readonly pins: Pins;
  readonly table: SessionTable;

  constructor(
    readonly site: Site & { readonly device: string },
    onStep?: (step: MigrationStep) => void,
  ) {
    this.opened = openAt(site, onStep);
    this.pins = pinsAt(site);
    const settings = new SettingsMap(this.opened.maps.settings);
    if (!this.opened.adopted) settings.write(freshSettings(key, frozenClock, 1));
    settings.setMacs([parseMac(lbMac)!]);
    pinProgram(this.opened.program, this.pins);
    const device = { name: site.device, ifindex: interfaceIndex(site.device)! };
    attach(this.opened.program, this.pins, device, 'auto').link.close();
    const { sessions, details } = this.opened.maps;
    this.table = new SessionTable(sessions, details, frozenClock);
  }

  async apply(desired: Desired): Promise<void> {
    const control = new ControlTables(this.opened.maps, frozenClock);
    const have = control.read();
    const ids = new IdLedger({ services: 15, pools: 3, backends: 15 });
    const { tables } = compile(desired, seen(desired), ids, { tickMs: frozenClock.tickMs, inForce: have });
    await control.apply(plan(have, tables, { tableCount: control.tableCount, tick: control.tick }));
  }

  find(port: number): SessionEntry | null {
    return this.table.find(tagOf(port));
  }

  /** The process is gone: descriptors go with it, pins stay. */
  close(): void {
    this.opened.program.close();
    for (const map of Object.values(this.opened.maps)) map.close();
  }
}

const vip = '192.0.2.10';
const client = '198.51.100.1';

function tagOf(port: number): bigint {
  const ports = { sourcePort: port, destinationPort: 80 };
  return flowTag({ source: ipToBytes(client), destination: ipToBytes(vip), ...ports, protocol: 6, v6: false }, key);
}

/** Where a packet of this client's port goes by a program: the frame's new destination, or the verdict. */
export function sendBy(program: BpfProgram, port: number, flags = 'A'): string {
  const frame = ethernet({ to: lbMac }, ip4({ from: client, to: vip }, tcp({ from: port, to: 80, flags })));
  const { retval, data } = program.testRun({ data: frame });
  return retval === 3 ? Buffer.from(data).toString('hex', 0, 6) : `verdict ${retval}`;
}

/** The program that the device runs now, whoever loaded it. */
export function programInForce({ device }: { readonly device: string }): BpfProgram {
  const { programId } = queryXdp(interfaceIndex(device)!)!;
  const directory = `${bpffs}/spillway/t${process.pid}-mig-in-force`;
  mkdirSync(directory, { recursive: true });
  execFileSync('bpftool', ['prog', 'pin', 'id', String(programId), `${directory}/prog`]);
  const program = BpfProgram.openPinned(`${directory}/prog`);
  rmSync(directory, { recursive: true });
  return program;
}

export function pinnedNames(site: Site): string[] {
  return readdirSync(pinsAt(site).map).sort();
}
