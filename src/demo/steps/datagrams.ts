import { expect, some } from '../expect.js';
import { backends, echoPort, services, vips } from '../scene.js';
import { count, type Screen } from '../screen.js';
import type { Stage } from '../stage.js';

const each = 60;

export async function echoDatagrams(screen: Screen, { client }: Stage): Promise<void> {
  const sent = each * vips.length;
  screen.step('UDP echo', 'each datagram from a port of its own');
  screen.doing(`sending ${sent} datagrams`);
  const { answers, failures } = await client.do('echo', { addresses: vips, port: echoPort, each });
  const from = (backend: string): number =>
    Object.values(answers).reduce((total, counts) => total + (counts[backend] ?? 0), 0);
  const came = backends.reduce((total, backend) => total + from(backend), 0);
  expect(came === sent && failures.length === 0, `${sent} echoes of what was sent`, `${came}; ${some(failures)}`);
  for (const { vip } of services) {
    const missing = backends.filter((backend) => (answers[vip]?.[backend] ?? 0) === 0);
    expect(missing.length === 0, `echoes of ${vip} from each backend`, `none from ${missing.join(', ')}`);
  }
  const shares = backends.map((backend) => `${backend} ${from(backend)}`).join(', ');
  screen.saw(`${count(came)} of ${count(sent)} came back as sent: ${shares}`);
}
