import { echo } from './echo.js';
import { load, requests } from './requests.js';
import type { FromClient, TaskName, Tasks, ToClient } from './tasks.js';
import { download, upload } from './transfer.js';

/** The process on the client's host: does the tasks that come over IPC, and ends with the demo. */

interface Control {
  readonly stop: AbortSignal;
  started(backend: string): void;
}
type Handlers = {
  readonly [Name in TaskName]: (params: Tasks[Name]['params'], control: Control) => Promise<Tasks[Name]['result']>;
};

const handlers: Handlers = {
  requests,
  download: (params, { started }) => download(params, started),
  upload,
  echo,
  load: (params, { stop }) => load(params, stop),
};

const stops = new Map<number, AbortController>();
const reply = (message: FromClient): void => {
  // Refused when the demo has just gone: then "disconnect" ends this process.
  process.send?.(message, () => {});
};

async function handle(message: ToClient): Promise<void> {
  const { id } = message;
  if ('stop' in message) {
    stops.get(id)?.abort();
    return;
  }
  const controller = new AbortController();
  stops.set(id, controller);
  const handler = handlers[message.task] as (params: unknown, control: Control) => Promise<unknown>;
  try {
    const result = await handler(message.params, {
      stop: controller.signal,
      started: (backend) => reply({ id, started: backend }),
    });
    reply({ id, result });
  } catch (error) {
    reply({ id, error: error instanceof Error ? error.message : String(error) });
  }
  stops.delete(id);
}

process.on('message', (message: ToClient) => void handle(message));
process.on('disconnect', () => process.exit(0));
