import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, get } from './http.js';
import { Tally } from './tally.js';
import {
  type LoadedRequest,
  type LoadParams,
  type LoadResult,
  nowMs,
  type RequestsParams,
  type RequestsResult,
} from './tasks.js';

/** So many failures say it all: the rest is not waited for. */
const enough = 50;

export async function requests({ urls, each, concurrency }: RequestsParams): Promise<RequestsResult> {
  const tally = new Tally();
  const failures: string[] = [];
  const seenFrom = new Set<string>();
  const tookMs: number[] = [];
  const next = Array.from({ length: each }, () => urls)
    .flat()
    .values();
  const worker = async (): Promise<void> => {
    for (const url of next) {
      if (failures.length >= enough) return;
      const startedAt = performance.now();
      try {
        const answer = await get(url);
        tally.add(url, answer.backend);
        seenFrom.add(answer.seenFrom);
        tookMs.push(performance.now() - startedAt);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  tookMs.sort((a, b) => a - b);
  const quantile = (q: number): number => tookMs[Math.floor((tookMs.length - 1) * q)] ?? 0;
  return { answers: tally.counts, failures, seenFrom: [...seenFrom], medianMs: quantile(0.5), p99Ms: quantile(0.99) };
}

/** One request after the other from each of the clients, until stopped. */
export async function load({ urls, clients, pauseMs }: LoadParams, stop: AbortSignal): Promise<LoadResult> {
  const done: LoadedRequest[] = [];
  const client = async (number: number): Promise<void> => {
    for (let i = number; !stop.aborted; i++) {
      const result: Answer | Error = await get(urls[i % urls.length]!).catch((error: Error) => error);
      done.push(
        result instanceof Error
          ? { endedAtMs: nowMs(), backend: null, error: result.message }
          : { endedAtMs: nowMs(), backend: result.backend, error: null },
      );
      await delay(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return { requests: done };
}
