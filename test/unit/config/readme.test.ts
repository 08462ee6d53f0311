/** The documents of the README are what the agent takes. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { parseAgentConfig } from '../../../src/config/agent.js';
import { readDocument } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';

const blocks = [...readFileSync('README.md', 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!);

test('every document of the README is valid', (t) => {
  const documents = blocks.filter((text) => text.startsWith('loadBalancers:'));
  t.true(documents.length >= 2);
  for (const text of documents) t.notThrows(() => validate(readDocument(text)), text);
});

test('so is the configuration of a node', (t) => {
  const configurations = blocks.filter((text) => text.startsWith('interfaces:'));
  t.is(configurations.length, 1);
  for (const text of configurations) t.notThrows(() => parseAgentConfig(text), text);
});
