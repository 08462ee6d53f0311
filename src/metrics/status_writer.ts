import type { Status } from '../api/port.js';
import { backendFamilies, listenerFamilies, nodeFamilies } from './families.js';
import { LabelCache, type ListenerLabels } from './labels.js';
import { limitText } from './limit_writer.js';
import { block, familyHeader, type Sample } from './text.js';

/** Characters after which a chunk is handed on: about 0.1 ms of work. */
const chunkSize = 64 * 1024;

/** Writes a Status as text, in chunks; between two of them the caller may let other work run. Some are empty. */
export class StatusWriter {
  private readonly cache = new LabelCache();

  *write(status: Status): Generator<string, void, undefined> {
    const labels = yield* this.cache.resolve(status.listeners);
    yield nodeText(status);
    yield* listenerText(status, labels);
    yield limitText(status);
    yield* backendText(status, labels);
  }
}

function* listenerText(status: Status, labels: readonly ListenerLabels[]): Generator<string, void, undefined> {
  for (const family of listenerFamilies) {
    let text = familyHeader(family.name, family.type, family.help);
    for (const [i, listener] of status.listeners.entries()) {
      const value = family.value(listener);
      if (value !== null) text += `${family.name}${labels[i]!.listener} ${value}\n`;
      if (text.length >= chunkSize) {
        yield text;
        text = '';
      }
    }
    yield text;
  }
  yield block(
    'spillway_listener_info',
    'gauge',
    'Always 1; the labels say what the listener is.',
    status.listeners.map((listener) => [
      {
        load_balancer: listener.loadBalancer,
        listener: listener.listener,
        protocol: listener.protocol,
        port: String(listener.port),
        backend_group: listener.backendGroup,
        forwarding: listener.forwarding,
        scheduler: listener.scheduler,
      },
      1,
    ]),
  );
}

function* backendText(status: Status, labels: readonly ListenerLabels[]): Generator<string, void, undefined> {
  for (const { name, type, help, value: sampleOf } of backendFamilies) {
    let text = familyHeader(name, type, help);
    for (const [i, listener] of status.listeners.entries()) {
      const texts = labels[i]!.backends;
      for (let at = 0; at < listener.backends.length; at++) {
        const value = sampleOf(listener.backends[at]!);
        if (value !== null) text += `${name}${texts[at]} ${value}\n`;
        if (text.length >= chunkSize) {
          yield text;
          text = '';
        }
      }
    }
    yield text;
  }
}

function nodeText(status: Status): string {
  const plain = nodeFamilies.map((family) => {
    const value = family.value(status);
    return value === null ? '' : `${familyHeader(family.name, family.type, family.help)}${family.name} ${value}\n`;
  });
  const { node, sessionTable } = status;
  const reasons = (verdict: 'drop' | 'pass' | 'answer'): Sample[] =>
    status.reasons.filter((row) => verdictOf(row) === verdict).map((row) => [{ reason: row.reason }, row.packets]);
  return [
    ...plain,
    block('spillway_build_info', 'gauge', 'Always 1; the labels say what runs.', [
      [{ version: node.version, instance: node.instance }, 1],
    ]),
    block(
      'spillway_interface_attached',
      'gauge',
      '1: the program is on the interface, in this mode.',
      node.attachments.map((at) => [{ interface: at.interface, mode: at.mode }, at.attached ? 1 : 0]),
    ),
    block('spillway_sessions', 'gauge', 'Live sessions at the last count, by state.', [
      [{ state: 'young' }, sessionTable.young],
      [{ state: 'established' }, sessionTable.established],
      [{ state: 'closing' }, sessionTable.closing],
    ]),
    block(
      'spillway_session_table_events_total',
      'counter',
      'What happened to entries of the session table, since its maps were made.',
      Object.entries(sessionTable.events).map(([event, count]) => [{ event }, count]),
    ),
    block('spillway_dropped_packets_total', 'counter', 'Packets dropped, by reason.', reasons('drop')),
    block('spillway_passed_packets_total', 'counter', 'Packets left to the host, by reason.', reasons('pass')),
    block('spillway_answered_packets_total', 'counter', 'Packets answered by the data path.', reasons('answer')),
  ].join('');
}

/** What the data path answers has a word of its own: "echo_answered". */
function verdictOf({ drop, reason }: Status['reasons'][number]): 'drop' | 'pass' | 'answer' {
  if (drop) return 'drop';
  return reason.endsWith('_answered') ? 'answer' : 'pass';
}
