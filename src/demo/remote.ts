import type { ChildProcess } from 'node:child_process';
import type { FromClient, TaskName, Tasks, ToClient } from './tasks.js';

export interface Running<Result> {
  readonly result: Promise<Result>;
  /** The backend that a download comes from, as soon as it is known. */
  readonly started: Promise<string>;
  stop(): void;
}

interface Waiting {
  started(backend: string): void;
  done(result: unknown): void;
  failed(error: Error): void;
}

/** The process on the client's host, seen from the demo. */
export class Remote {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  constructor(private readonly child: ChildProcess) {
    child.on('message', (message: FromClient) => this.take(message));
    child.once('exit', (code, signal) => {
      for (const { failed } of this.waiting.values())
        failed(new Error(`the client's process ended (${signal ?? code})`));
    });
  }

  do<Name extends TaskName>(task: Name, params: Tasks[Name]['params']): Promise<Tasks[Name]['result']> {
    return this.start(task, params).result;
  }

  start<Name extends TaskName>(task: Name, params: Tasks[Name]['params']): Running<Tasks[Name]['result']> {
    const id = ++this.lastId;
    let setStarted: (backend: string) => void = () => {};
    let refuseStarted: (error: Error) => void = () => {};
    const started = new Promise<string>((resolve, reject) => {
      [setStarted, refuseStarted] = [resolve, reject];
    });
    const result = new Promise<Tasks[Name]['result']>((resolve, reject) => {
      const failed = (error: Error): void => {
        refuseStarted(error);
        reject(error);
      };
      this.waiting.set(id, { started: setStarted, done: (value) => resolve(value as Tasks[Name]['result']), failed });
      this.send({ id, task, params }, failed);
    });
    // Whoever awaits them sees the error; who does not need not.
    started.catch(() => {});
    result.catch(() => {});
    return { result, started, stop: () => this.send({ id, stop: true }) };
  }

  end(): void {
    if (this.child.connected) this.child.disconnect();
  }

  private send(message: ToClient, failed: (error: Error) => void = () => {}): void {
    this.child.send(message, (error) => {
      if (error) failed(error);
    });
  }

  private take(message: FromClient): void {
    const waiting = this.waiting.get(message.id);
    if ('started' in message) {
      waiting?.started(message.started);
      return;
    }
    this.waiting.delete(message.id);
    if ('error' in message) waiting?.failed(new Error(message.error));
    else waiting?.done(message.result);
  }
}
