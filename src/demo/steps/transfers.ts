import { expect } from '../expect.js';
import { services, transferBytes, urlOf } from '../scene.js';
import { mebibytes, type Screen } from '../screen.js';
import type { Stage } from '../stage.js';
import type { TransferResult } from '../tasks.js';

export async function transfer(screen: Screen, { client }: Stage): Promise<void> {
  screen.step('64 MiB down and up', 'over each way to a backend, compared byte by byte');
  for (const [i, service] of services.entries()) {
    screen.doing(`${service.words}: down`);
    const common = { url: urlOf(service), size: transferBytes };
    const down = await client.do('download', { ...common, seed: 2 * i, pace: null, backend: null });
    checkTransfer(down, `the download by ${service.words}`);
    screen.doing(`${service.words}: up`);
    const up = await client.do('upload', { ...common, seed: 2 * i + 1 });
    checkTransfer(up, `the upload by ${service.words}`);
    screen.saw(
      `${service.words.padEnd(18)} ${service.vip.padEnd(15)} down from ${down.backend}: equal, ${speed(down)}; ` +
        `up to ${up.backend}: equal, ${speed(up)}`,
    );
  }
}

export function checkTransfer(
  { bytes, differsAt, error, backend }: TransferResult,
  what: string,
  size = transferBytes,
): void {
  const broken = error === null ? '' : `, broken off: ${error}`;
  const seen = `${bytes} bytes from ${backend}, ${differsAt === null ? 'all equal' : `the first wrong one at ${differsAt}`}${broken}`;
  expect(error === null && differsAt === null && bytes === size, `${what} to be ${size} bytes, all equal`, seen);
}

function speed({ bytes, tookMs }: TransferResult): string {
  return `${mebibytes(bytes / (tookMs / 1000))}/s`;
}
