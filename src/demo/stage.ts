import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from '../api/client.js';
import { type Agent, until } from './agents.js';
import { Unexpected } from './expect.js';
import { type Lab, program, root } from './lab.js';
import { Remote } from './remote.js';
import { type BackendName, type Balancer, backends, balancers, echoPort, httpPort, vips } from './scene.js';

const startDeadlineMs = 20_000;

/** The processes in the lab. */
export class Stage {
  readonly agents: readonly Agent[];
  private readonly children = new Map<string, ChildProcess>();
  private clientProcess: Remote | null = null;

  constructor(readonly lab: Lab) {
    this.agents = balancers.map((name) => ({
      name,
      api: connect(`unix:${lab.socketOf(name)}`, { timeoutMs: 10_000 }),
    }));
  }

  get client(): Remote {
    if (this.clientProcess === null) throw new Error('the client was not started');
    return this.clientProcess;
  }

  startClient(): void {
    const child = this.lab.spawn('client', { command: program('client'), ipc: true });
    this.clientProcess = new Remote(child);
  }

  async startAgents(): Promise<void> {
    const secret = `${this.lab.directory}/cluster-secret`;
    writeFileSync(secret, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    await Promise.all(this.agents.map((agent) => this.startAgent(agent, secret)));
  }

  /** Until it serves HTTP and UDP. */
  async startBackend(name: BackendName): Promise<void> {
    const ports = [httpPort, echoPort].map(String);
    const command = [...program('server'), name, ...ports, ...vips];
    const child = this.lab.spawn(name, { command, ipc: true });
    this.children.set(name, child);
    const ended = once(child, 'exit').then(() => {
      throw new Unexpected(`the server on ${name} to start`, this.lab.logTail(name));
    });
    ended.catch(() => {});
    await Promise.race([once(child, 'message'), ended]);
  }

  /** kill -9: no goodbye to anybody. */
  async killBackend(name: BackendName): Promise<void> {
    const child = this.children.get(name)!;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    child.kill('SIGKILL');
    await ended;
  }

  async startDecapsulators(): Promise<void> {
    await Promise.all(
      backends.map((name) =>
        this.lab.exec(name, [
          'spillway',
          'backend',
          'attach',
          '--interface',
          'eth0',
          '--instance',
          `${this.lab.name}-${name}`,
        ]),
      ),
    );
  }

  /** Lets go of the processes in the lab; they run on unless the lab is taken down. */
  close(): void {
    for (const { api } of this.agents) api.close();
    this.clientProcess?.end();
    for (const child of this.children.values()) {
      if (child.connected) child.disconnect();
      child.unref();
    }
  }

  private async startAgent({ name, api }: Agent, secret: string): Promise<void> {
    const config = `${this.lab.directory}/${name}.yaml`;
    writeFileSync(config, agentConfig(this.lab, { name, secret }));
    const command = [process.execPath, `${root}/dist/src/main.js`, '--config', config];
    const child = this.lab.spawn(name, { command, ipc: false });
    this.children.set(name, child);
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Unexpected(`the agent of ${name} to start`, this.lab.logTail(name));
      return api.node.getVersion({}, { timeoutMs: 1000 }).then(
        () => true,
        () => false,
      );
    };
    const seen = async (): Promise<string> => `no answer; its log: ${this.lab.logTail(name)}`;
    await until(answers, { what: `the agent of ${name} to answer`, deadlineMs: startDeadlineMs, seen });
  }
}

function agentConfig(lab: Lab, { name, secret }: { name: Balancer; secret: string }): string {
  return `# The agent of ${name} in the demo. scripts/spillwayd.example.yaml explains every field.
instance: ${lab.name}-${name}
interfaces: [eth0]
listen:
  unix: ${lab.socketOf(name)}
stateDirectory: ${lab.directory}/${name}.state
clusterSecretFile: ${secret}
limits:
  sessions: 200000
`;
}
