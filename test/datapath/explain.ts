/** `spillway explain` of a flow to "web", without an agent around it. */
import type { Controller } from '../../src/agent/controller.js';
import { explainFlow } from '../../src/agent/explain.js';
import type { Flow as ExplainedFlow, Explanation } from '../../src/api/port.js';
import { client6Of, clientOf, type Flow, vip4, vip6, type Web } from './web.js';

export function explain(web: Web, flow: Flow, what: Partial<ExplainedFlow> = {}): Explanation {
  const { lb } = web;
  const client = flow.client ?? 1;
  const sources = {
    controller: { compiled: lb.compiled, applied: lb.control.read() } as unknown as Controller,
    control: lb.control,
    table: lb.sessions,
    flowKey: () => lb.key,
  };
  const asked: ExplainedFlow = {
    protocol: flow.udp ? 'udp' : 'tcp',
    client: flow.v6 ? client6Of(client) : clientOf(client),
    clientPort: flow.from ?? 40_000,
    vip: flow.v6 ? vip6 : vip4,
    vipPort: flow.to ?? (flow.udp ? 53 : 80),
    syn: false,
    ignoreSession: false,
    quicConnectionId: new Uint8Array(),
    ...what,
  };
  return explainFlow(sources, asked, () => null);
}
