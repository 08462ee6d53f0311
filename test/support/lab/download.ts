import { get } from 'node:http';

export interface DownloadOptions {
  readonly address: string;
  readonly port: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export interface DownloadState {
  readonly received: number;
  readonly backend: string;
  readonly localPort: number;
  readonly done: boolean;
  readonly error: string;
}

/** A download that the backend paces, so that it lasts as long as the test wants. */
export class Download {
  state: DownloadState = { received: 0, backend: '', localPort: 0, done: false, error: '' };

  constructor({ address, port, bytes, bytesPerSecond }: DownloadOptions) {
    const request = get(
      { host: address, port, path: `/bytes/${bytes}/${bytesPerSecond}`, agent: false },
      (response) => {
        const backend = String(response.headers['x-backend']);
        this.#set({ backend, localPort: response.socket.localPort ?? 0 });
        response.on('data', (data: Buffer) => this.#set({ received: this.state.received + data.length }));
        response.on('end', () => this.#set({ done: this.state.received === bytes }));
        response.on('error', (error) => this.#set({ error: error.message }));
      },
    );
    request.on('error', (error) => this.#set({ error: error.message }));
  }

  #set(change: Partial<DownloadState>): void {
    this.state = { ...this.state, ...change };
  }
}
