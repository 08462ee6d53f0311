import { Violations } from '../config/violations.js';
import type * as message from './generated/messages.generated.js';
import type { Handlers } from './implement.js';
import type { CaptureBatch, CaptureFilter, CaptureOptions, CapturePort } from './port.js';
import { optionalPort, readPrefix, readProtocol, readVip } from './session_filter.js';

const snap = { min: 64, max: 1518, unset: 256 };
const rates = { min: 1, max: 1_000_000, unset: 1_000 };

export function captureService(port: CapturePort): Handlers<'CaptureService'> {
  return {
    capture: (request, signal) => responses(port.capture(readOptions(request), signal)),
  };
}

async function* responses(batches: AsyncIterable<CaptureBatch>): AsyncGenerator<CaptureMessage> {
  for await (const { packets, suppressed, interfaces } of batches) {
    yield {
      packets: packets.map(({ atNs, ...packet }) => ({
        ...packet,
        at: { seconds: atNs / 1_000_000_000n, nanos: Number(atNs % 1_000_000_000n) },
      })),
      suppressed: BigInt(suppressed),
      interfaces: [...interfaces],
    };
  }
}

type CaptureMessage = message.CaptureResponse;

/** @throws InvalidError naming every field at fault. */
function readOptions(from: message.CaptureRequest): CaptureOptions {
  const violations = new Violations();
  const within = (field: string, value: number, { min, max, unset }: typeof snap): number => {
    if (value !== 0 && (value < min || value > max)) {
      violations.add(field, `${value} is not within ${min} to ${max}; 0 means ${unset}`);
    }
    return value === 0 ? unset : value;
  };
  const durationMs = from.duration === null ? null : Number(from.duration.seconds) * 1000 + from.duration.nanos / 1e6;
  if (durationMs !== null && durationMs <= 0) violations.add('duration', 'longer than 0 s; unset: no end');
  const options = {
    filter: from.filter === null ? { dropsOnly: false } : readCaptureFilter(from.filter, violations),
    count: from.count === 0n ? null : Number(from.count),
    durationMs,
    snapLength: within('snapLength', from.snapLength, snap),
    rate: within('rate', from.rate, rates),
  };
  violations.throwIfAny();
  return options;
}

function readCaptureFilter(from: message.CaptureFilter, violations: Violations): CaptureFilter {
  const filter: { -readonly [Key in keyof CaptureFilter]: CaptureFilter[Key] } = { dropsOnly: from.dropsOnly };
  if (from.client !== '') filter.client = readPrefix(from.client, violations);
  if (from.vip !== '') filter.vip = readVip(from.vip, violations);
  const clientPort = optionalPort(from.clientPort, { path: 'filter.clientPort', violations });
  const vipPort = optionalPort(from.vipPort, { path: 'filter.vipPort', violations });
  if (clientPort !== null) filter.clientPort = clientPort;
  if (vipPort !== null) filter.vipPort = vipPort;
  const protocol = readProtocol(from.protocol, { path: 'filter.protocol', violations });
  if (protocol !== null) filter.protocol = protocol;
  if (from.reason !== '') filter.reason = from.reason;
  return filter;
}
