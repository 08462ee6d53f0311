import test from 'ava';
import { prettyLine } from '../../../src/base/pretty-log.js';

test('a line for eyes has time, level and message first', (t) => {
  const line = '{"level":40,"time":0,"instance":"edge","msg":"attached again","interfaces":2}\n';
  t.is(prettyLine(line), '1970-01-01T00:00:00.000Z warn attached again instance="edge" interfaces=2\n');
});

test('what is no log line stays as it is', (t) => {
  t.is(prettyLine('plain\n'), 'plain\n');
});
