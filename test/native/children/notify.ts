/** A process of its own receives what notifySystemd sends, first by a path, then by an abstract name. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { notifySystemd } from '../../../src/dataplane/addon.js';

const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name[0] == '@' else name)
s.settimeout(20)
print('bound', flush=True)
sys.stdout.write(s.recv(4096).decode())
`;

async function receive(name: string, state: string): Promise<string> {
  const child = spawn('python3', ['-c', script, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text === 'bound\n') notifySystemd(name, state);
  }
  return text.slice('bound\n'.length);
}

const directory = mkdtempSync(path.join(tmpdir(), 'spillway-notify-'));
try {
  const first = await receive(path.join(directory, 'socket'), 'READY=1');
  const second = await receive(`@spillway-notify-${process.pid}`, 'STATUS=here');
  console.log(JSON.stringify(`${first}\n${second}`));
} finally {
  rmSync(directory, { recursive: true });
}
