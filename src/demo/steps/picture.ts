import { type Sessions, sessionsOf, statusOf, sum } from '../agents.js';
import { expect } from '../expect.js';
import type { Lab } from '../lab.js';
import { backends, balancers } from '../scene.js';
import { count, mebibytes, type Screen, table } from '../screen.js';
import type { Stage } from '../stage.js';

const width = 60;
const barLength = 30;

/** Who served what, as the agents counted it. */
export async function picture(screen: Screen, { agents, lab }: Stage): Promise<void> {
  screen.step('Who served what', 'sessions since the start, as both agents count them');
  screen.doing('asking');
  const [sessions, statuses] = [await sessionsOf(agents), await statusOf(agents)];
  const ways = balancers.flatMap((lb) => backends.map((backend) => sum(sessions, { lb, backend })));
  expect(
    ways.every((value) => value > 0),
    'each load balancer to have sent to each backend',
    ways.join(', '),
  );
  screen.show(draw(sessions));
  screen.line();
  screen.show(bars(sessions));
  screen.line();

  const listeners = statuses.flatMap((status) => status.listeners);
  const bytes = listeners.reduce((total, { traffic }) => total + Number(traffic?.bytes ?? 0n), 0);
  const answers = await receivedByClient(lab);
  screen.note(
    `${mebibytes(bytes)} from the client went through lb1 and lb2; ${mebibytes(answers)} of answers went past them.`,
  );
  const dropped = statuses.flatMap(({ reasons }) => reasons.filter(({ drop, packets }) => drop && packets > 0n));
  const words = dropped.map(({ reason, packets }) => `${packets} ${reason}`).join(', ');
  screen.note(`Packets that lb1 and lb2 dropped: ${words || 'none'}.`);
}

function draw(sessions: Sessions): string {
  const ofBackends = balancers.map((lb) => backends.map((backend) => count(sum(sessions, { lb, backend }))));
  const rows = [
    ['client'],
    ['│'],
    [`router, by ECMP: ${count(sum(sessions))}`],
    [`┌${'─'.repeat(width / 4 - 1)}┴${'─'.repeat(width / 4 - 1)}┐`],
    [...balancers],
    balancers.map((lb) => count(sum(sessions, { lb }))),
    balancers.map(() => '┌────────┼────────┐'),
    balancers.map(() => backends.map((name) => centred(name, 9)).join('')),
    ofBackends.map((counts) => counts.map((text) => centred(text, 9)).join('')),
  ];
  return rows.map((cells) => cells.map((cell) => centred(cell, width / cells.length)).join('')).join('\n');
}

function bars(sessions: Sessions): string {
  const counts = backends.map((backend) => sum(sessions, { backend }));
  const most = Math.max(...counts);
  return table(
    'lrl',
    backends.map((name, i) => [name, count(counts[i]!), '█'.repeat(Math.round((counts[i]! / most) * barLength))]),
  );
}

/** The odd space on the right. */
function centred(text: string, space: number): string {
  return text.padStart(Math.floor((space + text.length) / 2)).padEnd(space);
}

async function receivedByClient(lab: Lab): Promise<number> {
  const links = JSON.parse(await lab.exec('client', ['ip', '-stats', '-json', 'link', 'show', 'dev', 'eth0']));
  return (links as [{ stats64: { rx: { bytes: number } } }])[0].stats64.rx.bytes;
}
