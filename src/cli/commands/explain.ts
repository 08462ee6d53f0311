import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { parseEndpoint, parseHex, parseWord } from '../names.js';
import { formatExplanation } from '../views/explain.js';

export const registerExplain: Register = (program, io) => {
  const command = program
    .command('explain')
    .summary('what happens to a packet of this flow now, and why')
    .description(
      'Says what would happen to a packet of this flow now, step by step; also of a flow that was never seen. Changes nothing.',
    )
    .argument('<protocol>', 'tcp or udp')
    .argument('<client>', 'ADDRESS:PORT of the client; IPv6 as [2001:db8::7]:40000')
    .argument('<vip>', 'ADDRESS:PORT of the listener')
    .option('--syn', 'what if: the packet begins a connection (TCP SYN)')
    .option('--quic-id <hex>', 'what if, with the scheduler QCH: the destination connection id in the packet')
    .option('--new', 'what if: there were no session yet')
    .action(action<Options, [string, string, string]>(io, explain));
  examples(command, [
    'spillway explain tcp 198.51.100.7:40000 192.0.2.1:443',
    'spillway explain tcp 198.51.100.7:40000 192.0.2.1:443 --new --syn   # what if it were to connect now',
    'spillway explain udp [2001:db8::7]:5353 [2001:db8:1::1]:53 --json',
    'spillway explain udp 198.51.100.7:40000 192.0.2.1:443 --quic-id 07c4605e4504cc4f',
  ]);
};

interface Options {
  readonly syn?: boolean;
  readonly new?: boolean;
  readonly quicId?: string;
}

async function explain(
  context: Context,
  options: Options,
  [word, client, vip]: [string, string, string],
): Promise<void> {
  const protocol = parseWord('protocol', word, ['TCP', 'UDP']);
  const from = parseEndpoint(client);
  const to = parseEndpoint(vip);
  const request = {
    protocol,
    client: from.address,
    clientPort: from.port,
    vip: to.address,
    vipPort: to.port,
    syn: options.syn ?? false,
    ignoreSession: options.new ?? false,
    quicConnectionId: parseHex('--quic-id', options.quicId ?? ''),
  };
  const answer = await context.call('explain', (agent, call) => agent.sessions.explain(request, call));
  if (context.json) await context.printJson((await jsonOf('spillway.v1.Explanation'))(answer));
  else
    await context.print(
      formatExplanation(answer, { title: `${protocol} ${client} -> ${vip}`, paint: context.io.paint }),
    );
}
