/** Two sets of rules of a backend's program, and programs that run them. */
import test from 'ava';
import { ownMac } from './decap_frames.js';
import { BackendPrograms, rulesWith } from './decap_program.js';

export const lbs = ['203.0.113.11', '2001:db8:200::11'];
export const vips = ['198.51.100.7', '2001:db8::7'];
export const open = rulesWith();
export const strict = rulesWith({
  macs: ['02:00:00:00:00:99', ownMac],
  from: [
    { address: '203.0.113.8', bits: 29 },
    { address: '2001:db8:200::', bits: 64 },
  ],
  onlyVips: true,
  vips,
  guePort: 6635,
});

export const programs = { open: new BackendPrograms(open), strict: new BackendPrograms(strict) };

test.after.always(() => {
  for (const program of Object.values(programs)) program.close();
});
