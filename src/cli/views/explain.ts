import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { formatFields, printable } from '../format/table.js';
import { egressText } from './backends.js';
import { age } from './sessions.js';

export function formatExplanation(
  answer: messages.Explanation,
  { title, paint }: { title: string; paint: Palette },
): string {
  const fields: (readonly [string, string])[] = [
    ['Flow', title],
    ['Verdict', verdict(answer, paint)],
  ];
  if (answer.listener !== '') fields.push(['Listener', `${answer.loadBalancer}/${answer.listener}`]);
  if (answer.backend !== '') {
    fields.push(['Backend', `${answer.backendGroup}/${answer.backend} at ${answer.backendAddress}`]);
    fields.push(['Chosen by', chosenBy(answer)]);
  }
  if (answer.verdict === 'forward') {
    const hop = answer.nextHopMac === '' ? paint.bad('no next hop yet') : `next hop ${answer.nextHopMac}`;
    fields.push(['Sent by', `${answer.forwarding}, ${hop}${by(answer)}`]);
  }
  if (answer.session !== null) fields.push(['Session', sessionLine(answer.session)]);
  const steps = answer.steps.map((step, i) => `${String(i + 1).padStart(4)}. ${printable(step)}\n`).join('');
  return formatFields(fields, paint.bold) + (steps === '' ? '' : `${paint.bold('Steps')}\n${steps}`);
}

function by(answer: messages.Explanation): string {
  return answer.egressInterface === '' ? '' : ` by ${egressText(answer)}`;
}

function verdict({ verdict, reason }: messages.Explanation, paint: Palette): string {
  if (verdict === 'forward') return paint.good('forward');
  return `${verdict === 'drop' ? paint.bad(verdict) : paint.warn(verdict)}: ${printable(reason)}`;
}

function chosenBy(answer: messages.Explanation): string {
  return answer.chosenBy === 'maglev' ? `maglev, slot ${answer.maglevSlot}` : answer.chosenBy;
}

function sessionLine(session: messages.Session): string {
  const times = `age ${age(session.age)}, idle ${age(session.idle)}, expires in ${age(session.expiresIn)}`;
  return `${String(session.state).toLowerCase()}, ${times}`;
}
