import { existsSync } from 'node:fs';
import { type CaptureFilter, captureFilterSize, writeCaptureFilter } from '../abi/abi.generated.js';
import type { AttachmentStatus, ProgramVersion } from '../api/port.js';
import { parseMac } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { AgentConfig } from '../config/agent.js';
import {
  BpfObject,
  type BpfProgram,
  detachTc,
  interfaceIndex,
  interfaceName,
  queryTc,
  queryXdp,
  RingReader,
} from '../dataplane/addon.js';
import { type Attachment, attach, detachAll, detachAllBut, linkPin } from '../dataplane/attach.js';
import { openTickClock, type TickClock } from '../dataplane/clock.js';
import { Counters } from '../dataplane/counters.js';
import { FirstFragments } from '../dataplane/first-fragments.js';
import { kernelName, type Pins, pinsOf } from '../dataplane/layout.js';
import { checkSettingsLayout, type OpenedMaps, openMaps, pinProgram } from '../dataplane/open.js';
import { openCapture } from '../dataplane/open-capture.js';
import { SessionTable } from '../dataplane/session-table.js';
import { deriveKey, freshSettings, SettingsMap } from '../dataplane/settings.js';
import { ControlTables } from '../dataplane/tables.js';
import type { Port } from '../netlink/types.js';
import type { Site } from './site.js';

export { siteOf } from './site.js';

/** Handle and priority of the filter that steers probes: see bpf/probe.bpf.c. */
const PROBE_HANDLE = 1;
const PROBE_PRIORITY = 1;
/** What of the data path's maps the probe program reads. */
const probeMaps = ['backends', 'egresses'] as const;
/** MAX_MACS of bpf/abi_types.h. */
const MAX_MACS = 8;
/** Above this a frame does not fit in one page of the driver: the program must take fragments. */
const LINEAR_MTU = 3400;

/** The data plane of this node: its maps, its program, where it is attached. */
export interface DataPlaneNode {
  readonly adopted: boolean;
  readonly clock: TickClock;
  readonly control: ControlTables;
  readonly counters: Counters;
  readonly table: SessionTable;
  readonly firstFragments: FirstFragments;
  readonly settings: SettingsMap;
  readonly program: BpfProgram;
  /** The load balancer first. */
  readonly programs: readonly [ProgramVersion, ...ProgramVersion[]];
  /** What an operator should know of how it came up. */
  readonly notices: readonly string[];
  /** What the sessions' stream between nodes reads and writes. */
  syncMemory(): { readonly sessions: ArrayBuffer; readonly details: ArrayBuffer; readonly log: ArrayBuffer };
  onEvents(listener: (records: Uint8Array) => void): void;
  /** From now on fragments that come before their first one are dropped. */
  dropEarlyFragments(): void;
  /** A copy of the program that captures takes its place on every interface, in one step each, until closed. */
  startCapture(onRecords: (records: Uint8Array, lost: number) => void): NodeCapture;
  /** The probe program onto the ports, so that checks take the way of traffic. Problems in words. */
  attachProbes(ports: readonly Port[]): readonly string[];
  /** Attaches what is not attached, and tells how many attachments it had to make or mend. */
  attachPorts(site: Site): { mended: number; problems: readonly string[] };
  attachments(site: Site): readonly AttachmentStatus[];
  /** Leaves pins and attachments as they are. */
  close(): void;
}

export interface NodeCapture {
  /** struct capture_filter. */
  setFilter(filter: CaptureFilter): void;
  /** Matched, but above the rate, since the capture began. */
  suppressed(): number;
  /** The plain program is back when this returns. */
  close(): void;
}

export function openNode(
  config: AgentConfig,
  options: { objects: string; secret: Uint8Array | null; ports: readonly Port[]; log: Logger },
): DataPlaneNode {
  const pins = pinsOf(config.pinDirectory, config.instance);
  const clock = openTickClock(`${options.objects}/clock.bpf.o`);
  const frags = options.ports.some(({ mtu }) => mtu > LINEAR_MTU);
  const opened = openMaps({
    pins,
    bpffs: bpffsOf(config.pinDirectory),
    objectFile: `${options.objects}/lb.bpf.o`,
    sizes: {
      sessions: config.limits.sessions,
      services: config.limits.services,
      backends: config.limits.backends,
      pools: config.limits.backendGroups,
      vips: config.limits.vips,
      fragments: config.limits.fragments,
      accessListEntries: config.limits.accessListEntries,
      sourceCells: config.limits.sourceCells,
    },
    frags,
    clock,
  });
  if (opened.migration) options.log.info(opened.migration, 'sessions were brought into a table of another size');
  return new Node(config, { pins, clock, opened, frags, ...options });
}

/** The mount that a directory of pins lies in: /sys/fs/bpf for /sys/fs/bpf/spillway. */
function bpffsOf(pinDirectory: string): string {
  return pinDirectory.startsWith('/sys/fs/bpf') ? '/sys/fs/bpf' : pinDirectory;
}

/** Without an agent: takes the program off, and the probe filters with it. */
export function detachInstance(config: Pick<AgentConfig, 'pinDirectory' | 'instance'>): string[] {
  const names = detachAll(pinsOf(config.pinDirectory, config.instance));
  for (const name of names) detachProbe(name);
  return names;
}

function detachProbe(name: string): void {
  const ifindex = interfaceIndex(name);
  if (ifindex !== null && queryTc(ifindex, 'egress', PROBE_HANDLE, PROBE_PRIORITY) !== null) {
    detachTc(ifindex, 'egress', PROBE_HANDLE, PROBE_PRIORITY);
  }
}

interface NodeParts {
  readonly pins: Pins;
  readonly clock: TickClock;
  readonly opened: OpenedMaps;
  readonly objects: string;
  readonly frags: boolean;
  readonly secret: Uint8Array | null;
  readonly log: Logger;
}

class Node implements DataPlaneNode {
  readonly adopted: boolean;
  readonly clock: TickClock;
  readonly control: ControlTables;
  readonly counters: Counters;
  readonly table: SessionTable;
  readonly firstFragments: FirstFragments;
  readonly settings: SettingsMap;
  readonly program: BpfProgram;
  readonly notices: string[];
  readonly #config: AgentConfig;
  readonly #parts: NodeParts;
  readonly #attached = new Map<string, Attachment>();
  #ring: RingReader | null = null;
  /** The program, or for the time of a capture the copy of it that captures. */
  #inForce: BpfProgram;
  #probe: BpfProgram | null = null;
  #pinnedProgram = false;
  #tidied = false;

  constructor(config: AgentConfig, parts: NodeParts) {
    const { maps, program, adopted, differences } = parts.opened;
    this.#config = config;
    this.#parts = parts;
    this.adopted = adopted;
    this.clock = parts.clock;
    this.program = program;
    this.#inForce = program;
    this.notices = [...differences];
    this.settings = new SettingsMap(maps.settings);
    this.#prepareSettings();
    this.#allow({ fragments: config.fragments.earlyPerSecond });
    this.control = new ControlTables(maps, parts.clock);
    this.counters = new Counters(maps);
    this.table = new SessionTable(maps.sessions, maps.details, parts.clock);
    this.firstFragments = new FirstFragments(maps.fragments, parts.clock);
  }

  /** Sessions are known by the key that made their tags: an adopted table keeps its key. */
  #prepareSettings(): void {
    const { pins, secret, clock } = this.#parts;
    const held = this.settings.read();
    checkSettingsLayout(held, `${pins.map}/settings`);
    if (held.layout === 0) {
      this.settings.write(freshSettings(deriveKey(secret), clock, 0));
      return;
    }
    const sameKey = !secret || deriveKey(secret).words.every((word, i) => word === held.key[i]);
    if (!sameKey) {
      this.notices.push(
        'clusterSecretFile holds another secret than the one that the sessions in the table were made with: it takes effect after a detach',
      );
    }
  }

  #allow({ fragments }: { fragments: number }): void {
    const { echoPerSecond: echoes, errorsPerSecond: errors } = this.#config.icmp;
    this.settings.setAllowances({ echoes, errors, fragments }, this.clock.tickMs);
  }

  dropEarlyFragments(): void {
    this.#allow({ fragments: 0 });
  }

  syncMemory(): ReturnType<DataPlaneNode['syncMemory']> {
    const { sessions, details, session_log: log } = this.#parts.opened.maps;
    return { sessions: sessions.mmap(), details: details.mmap(), log: log.mmap() };
  }

  onEvents(listener: (records: Uint8Array) => void): void {
    this.#ring = new RingReader(this.#parts.opened.maps.events, {}, (records) => listener(records));
  }

  startCapture(onRecords: (records: Uint8Array, lost: number) => void): NodeCapture {
    const { pins, objects, frags } = this.#parts;
    const capture = openCapture({ pins, objectFile: `${objects}/lb.bpf.o`, frags });
    const ring = new RingReader(capture.packets, {}, (records, _, lost) => onRecords(records, lost));
    this.#inForce = capture.program;
    for (const { link } of this.#attached.values()) link.update(capture.program);
    return {
      setFilter: (filter) => {
        const bytes = new Uint8Array(captureFilterSize);
        writeCaptureFilter(new DataView(bytes.buffer), 0, filter);
        capture.filter.update(new Uint8Array(4), bytes);
      },
      suppressed: () => Number(capture.state.sumRange(0, 1)[0] ?? 0n),
      close: () => {
        this.#inForce = this.program;
        for (const { link } of this.#attached.values()) link.update(this.program);
        ring.close();
        capture.close();
      },
    };
  }

  attachProbes(ports: readonly Port[]): readonly string[] {
    const problems: string[] = [];
    for (const { name, ifindex } of ports) {
      if (this.#isSomebodyElses(name, ifindex)) continue;
      const { problem } = this.#keepProbe(name, ifindex);
      if (problem) problems.push(problem);
    }
    return problems;
  }

  /** An instance that has the interface has the filter on it, too: handle and priority are the same for all. */
  #isSomebodyElses(name: string, ifindex: number): boolean {
    return queryXdp(ifindex) !== null && !existsSync(linkPin(this.#parts.pins, name));
  }

  #keepProbe(name: string, ifindex: number): { mended: boolean; problem: string | null } {
    try {
      const probe = this.#loadProbe();
      const held = queryTc(ifindex, 'egress', PROBE_HANDLE, PROBE_PRIORITY);
      if (held === probe.info.id) return { mended: false, problem: null };
      probe.attachTc(ifindex, 'egress', PROBE_HANDLE, PROBE_PRIORITY);
      return { mended: true, problem: null };
    } catch (error) {
      return {
        mended: false,
        problem: `health checks cannot take the way of traffic on ${name} (${(error as Error).message}): use target BACKEND_ADDRESS, or a kernel with clsact and cls_bpf`,
      };
    }
  }

  /** The load balancer, and what steers health checks once an interface has it. */
  get programs(): readonly [ProgramVersion, ...ProgramVersion[]] {
    return [programVersion(this.program), ...(this.#probe ? [programVersion(this.#probe)] : [])];
  }

  #loadProbe(): BpfProgram {
    if (!this.#probe) {
      const object = BpfObject.load(`${this.#parts.objects}/probe.bpf.o`, {
        reuse: Object.fromEntries(probeMaps.map((name) => [kernelName(name), `${this.#parts.pins.map}/${name}`])),
        maxEntries: Object.fromEntries(
          probeMaps.map((name) => [kernelName(name), this.#parts.opened.maps[name].info.maxEntries]),
        ),
      });
      this.#probe = object.program('probe');
      object.close();
    }
    return this.#probe;
  }

  attachPorts({ ports, macs, missing }: Site): { mended: number; problems: readonly string[] } {
    const problems: string[] = [];
    let mended = 0;
    this.settings.setMacs(macs.map(parseMac).filter((mac) => mac !== null));
    if (macs.length > MAX_MACS) {
      problems.push(
        `the interfaces have ${macs.length} MAC addresses, of which ${MAX_MACS} are used: frames to ${macs.slice(MAX_MACS).join(', ')} go to the kernel`,
      );
    }
    if (!this.#pinnedProgram) {
      pinProgram(this.program, this.#parts.pins);
      this.#pinnedProgram = true;
    }
    if (missing.length === 0) this.#tidy(ports);
    for (const port of ports) {
      try {
        if (!this.#holds(port)) {
          this.#attach(port, this.#config.xdpMode);
          mended++;
        }
        const probe = this.#keepProbe(port.name, port.ifindex);
        if (probe.mended) mended++;
        if (probe.problem) problems.push(probe.problem);
      } catch (error) {
        this.#attached.delete(port.name);
        problems.push((error as Error).message);
      }
    }
    mended += this.#useOneMode(ports);
    /* What the program sends is lost there when it did not come by the driver. */
    if ([...this.#attached.values()].some(({ mode }) => mode === 'generic')) this.dropEarlyFragments();
    return { mended, problems };
  }

  #attach(port: Port, mode: AgentConfig['xdpMode']): void {
    this.#attached.get(port.name)?.link.close();
    this.#attached.set(port.name, attach(this.#inForce, this.#parts.pins, port, mode));
  }

  /** Off what the configuration, or the bond that it named, has no more. While something is missing that is not known. */
  #tidy(ports: readonly Port[]): void {
    const names = ports.map(({ name }) => name);
    const strays = [...this.#attached.keys()].filter((name) => !names.includes(name));
    if (this.#tidied && strays.length === 0) return;
    this.#tidied = true;
    for (const name of strays) {
      this.#attached.get(name)!.link.close();
      this.#attached.delete(name);
    }
    for (const name of detachAllBut(this.#parts.pins, names)) {
      detachProbe(name);
      this.#parts.log.warn(
        { interface: name },
        `detached from ${name}: it belongs to no interface of the configuration`,
      );
    }
  }

  /** A driver takes frames only from programs of its own mode: one port that needs the generic one has all use it. */
  #useOneMode(ports: readonly Port[]): number {
    const held = ports.flatMap((port) => {
      const attachment = this.#attached.get(port.name);
      return attachment ? [{ port, attachment }] : [];
    });
    const generic = held.find(({ attachment }) => attachment.mode === 'generic');
    if (!generic) return 0;
    const native = held.filter(({ attachment }) => attachment.mode === 'native');
    for (const { port } of native) {
      this.#attach(port, 'generic');
      const fallbackReason = `${generic.port.name} is in generic mode, and packets pass between interfaces of one mode only`;
      this.#attached.set(port.name, { ...this.#attached.get(port.name)!, fallbackReason });
    }
    return native.length;
  }

  #holds({ name, ifindex }: { readonly name: string; readonly ifindex: number }): boolean {
    const known = this.#attached.get(name);
    return known?.ifindex === ifindex && queryXdp(ifindex)?.programId === this.#inForce.info.id;
  }

  attachments({ ports, missing }: Site): readonly AttachmentStatus[] {
    const attached = ports.map(({ name, mac, mtu, serves }): AttachmentStatus => {
      const known = this.#attached.get(name);
      return {
        interface: name,
        mode: known?.mode ?? 'native',
        attached:
          known !== undefined && interfaceName(known.ifindex) === name && this.#holds({ name, ifindex: known.ifindex }),
        mac,
        mtu,
        fallbackReason: known?.fallbackReason ?? '',
        serves,
      };
    });
    const absent = { mode: 'native', attached: false, mac: '', mtu: 0, fallbackReason: '' } as const;
    return [...attached, ...missing.map((name) => ({ ...absent, interface: name, serves: [name] }))];
  }

  close(): void {
    this.#ring?.close();
    this.#probe?.close();
    for (const { link } of this.#attached.values()) link.close();
    this.program.close();
    this.clock.close();
    for (const map of Object.values(this.#parts.opened.maps)) map.close();
  }
}

function programVersion({ info }: BpfProgram): ProgramVersion {
  const { name, tag, verifiedInstructions, jitedBytes } = info;
  return { name, tag, verifiedInstructions, jitedBytes };
}
