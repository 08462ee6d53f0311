import { BackendFlags, type Pool } from '../abi/abi.generated.js';
import type { Explanation } from '../api/port.js';
import { protocolNumber } from '../compile/compile.js';
import type { CompiledService } from '../compile/compiled.js';
import { type FlowAddresses, type FlowKey, sourceEntryTag, sourceTag, tableSlotOf } from '../compile/fingerprint.js';
import type { Tables } from '../compile/tables.js';
import type { SessionTable } from '../dataplane/session-table.js';
import type { ControlTables } from '../dataplane/tables.js';

/** As in bpf/turn.h. */
const SLOT_TRIES = 8;
const LEAST_MEMBERS = 64;

export interface ChoiceQuestion {
  readonly service: CompiledService;
  readonly addresses: FlowAddresses;
  readonly tag: bigint;
  readonly syn: boolean;
  readonly applied: Pick<Tables, 'services' | 'backends'>;
  readonly control: Pick<ControlTables, 'poolRow' | 'readTable' | 'tick' | 'turnOf' | 'loads'>;
  readonly table: Pick<SessionTable, 'find'>;
  readonly key: FlowKey;
  readonly nameOf: (backend: number) => string;
}

export interface Choice {
  /** 0: there is none. */
  readonly backend: number;
  readonly chosenBy: Exclude<Explanation['chosenBy'], 'session' | null>;
  readonly maglevSlot: number | null;
}

/** As choose in bpf/route.h: where a flow without a session goes, if it comes now. `steps` takes how. */
export function chooseBackend(question: ChoiceQuestion, steps: string[]): Choice {
  const kept = keptBackend(question, steps);
  if (kept !== null) return { backend: kept, chosenBy: 'persistence', maglevSlot: null };
  const { service, control } = question;
  const placed = control.poolRow(service.pool.id);
  if (!placed || placed.slots === 0) return { backend: 0, chosenBy: 'maglev', maglevSlot: null };
  switch (service.listener.scheduler) {
    case 'WRR':
    case 'RR':
      return beginsFlow(question) ? inTurn(question, placed, steps) : steady(question, placed, steps);
    case 'WLC':
      return beginsFlow(question) ? leastLoaded(question, placed, steps) : steady(question, placed, steps);
    case 'QCH':
    case 'SCH':
    case 'TCH':
      return hashed(question, placed, steps);
  }
}

function beginsFlow({ addresses, syn }: ChoiceQuestion): boolean {
  return addresses.protocol !== protocolNumber.tcp || syn;
}

function isUp({ applied }: ChoiceQuestion, backend: number): boolean {
  return ((applied.backends.get(backend)?.flags ?? 0) & BackendFlags.BACKEND_UP) !== 0;
}

/** As persistent_backend in bpf/persistence.h. */
function keptBackend(question: ChoiceQuestion, steps: string[]): number | null {
  const { service, addresses, applied, table, key, nameOf } = question;
  const row = applied.services.get(service.id);
  const lasts = row?.timeoutTicks[0] ?? 0;
  if (!row || lasts === 0) return null;
  const entry = table.find(sourceEntryTag(addresses, row, key));
  if (entry === null || entry.idleTicks > Math.min(lasts, row.timeoutTicks[entry.state & 3]!)) {
    steps.push('source persistence: nothing is remembered of this client');
    return null;
  }
  const { flags = 0, pool } = applied.backends.get(entry.backend) ?? {};
  if (isUp(question, entry.backend) && pool === row.pool && !(flags & BackendFlags.BACKEND_DRAINING)) {
    steps.push("source persistence: the client's last connection says where this one goes");
    return entry.backend;
  }
  steps.push(
    `source persistence: the client's last connection went to backend ${nameOf(entry.backend)}, which takes no new ones`,
  );
  return null;
}

/** What the table before the last swap says, while connections that began by it may still lack a session. */
function handedOver({ control }: ChoiceQuestion, placed: Pool, hash: bigint): number | null {
  const open = placed.previousTable !== placed.table && ((placed.handoverUntil - control.tick) | 0) >= 0;
  return open ? control.readTable(placed.previousTable)[tableSlotOf(hash, placed.previousSlots)]! : null;
}

const byTheTableBefore =
  'the table has just been replaced: a connection without a session began before, and goes by the one before';

function hashed(question: ChoiceQuestion, placed: Pool, steps: string[]): Choice {
  const { service, addresses, tag, control, key } = question;
  const bySource = service.listener.scheduler === 'SCH';
  const hash = bySource ? sourceTag(addresses, key) : tag;
  const slot = tableSlotOf(hash, placed.slots);
  const now = control.readTable(placed.table)[slot]!;
  const before = beginsFlow(question) ? null : handedOver(question, placed, hash);
  const kept = before !== null && before !== now && isUp(question, before);
  steps.push(
    `${service.listener.scheduler} hashes ${bySource ? "the client's address" : 'addresses and ports'} to slot ${slot} of group ${service.pool.group.name}`,
  );
  if (kept) steps.push(byTheTableBefore);
  return { backend: kept ? before : now, chosenBy: 'maglev', maglevSlot: slot };
}

/** As steady_member in bpf/turn.h. */
function steady(question: ChoiceQuestion, placed: Pool, steps: string[]): Choice {
  const { service, tag } = question;
  const before = handedOver(question, placed, tag);
  const first = tableSlotOf(tag, placed.slots);
  steps.push(
    `a connection that began without ${service.listener.scheduler} knowing of it goes by its hash, to slot ${first} of group ${service.pool.group.name}`,
  );
  if (before !== null && isUp(question, before)) {
    steps.push(byTheTableBefore);
    return { backend: before, chosenBy: 'maglev', maglevSlot: first };
  }
  return { backend: firstUp(question, placed, first), chosenBy: 'maglev', maglevSlot: first };
}

function inTurn(question: ChoiceQuestion, placed: Pool, steps: string[]): Choice {
  const { service, control } = question;
  const first = Number(control.turnOf(service.pool.id) % BigInt(placed.slots));
  steps.push(
    `${service.listener.scheduler} takes the next in turn, of group ${service.pool.group.name}: who comes first takes it`,
  );
  return { backend: firstUp(question, placed, first), chosenBy: 'turn', maglevSlot: null };
}

/** Of the slots from `first` on, as far as the data path looks; where all are down, the first. */
function firstUp(question: ChoiceQuestion, { table, slots }: Pool, first: number): number {
  const members = question.control.readTable(table);
  for (let i = 0; i < SLOT_TRIES; i++) {
    const backend = members[(first + i) % slots]!;
    if (isUp(question, backend)) return backend;
  }
  return members[first]!;
}

/** As least_loaded in bpf/turn.h. */
function leastLoaded(question: ChoiceQuestion, { table, slots }: Pool, steps: string[]): Choice {
  const { service, control, applied, nameOf } = question;
  const members = control.readTable(table);
  const first = Number(control.turnOf(service.pool.id) % BigInt(slots));
  let least: { readonly backend: number; readonly sessions: number; readonly weight: number } | null = null;
  for (let i = 0; i < Math.min(LEAST_MEMBERS, slots); i++) {
    const backend = members[(first + i) % slots]!;
    if (!isUp(question, backend)) continue;
    const sessions = Math.max(0, control.loads.of(backend));
    const { weight } = applied.backends.get(backend)!;
    if (least === null || (sessions + 1) * least.weight < (least.sessions + 1) * weight)
      least = { backend, sessions, weight };
  }
  if (least !== null) {
    steps.push(
      `WLC takes the backend of group ${service.pool.group.name} with the fewest sessions for its weight: ${nameOf(least.backend)} has ${least.sessions}`,
    );
  }
  return { backend: least?.backend ?? members[first]!, chosenBy: 'least_sessions', maglevSlot: null };
}
