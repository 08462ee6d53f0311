/** The client of the lab tests: single requests, streams of requests and of datagrams, downloads. Run by Lab.client. */
import { type DatagramAnswer, type DatagramOptions, datagram } from './datagram.js';
import { Download, type DownloadOptions, type DownloadState } from './download.js';
import { type EchoOptions, type EchoReport, EchoStream } from './echo_stream.js';
import { type MirrorAnswer, type MirrorOptions, mirror } from './mirror.js';
import { serve } from './peer.js';
import { type Answer, type RequestOptions, request } from './request.js';
import { type RequestReport, RequestStream, type StreamOptions } from './request_stream.js';

const streams = new Map<string, RequestStream>();
const echoes = new Map<string, EchoStream>();
const downloads = new Map<string, Download>();

function held<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`nothing was started as "${name}"`);
  return value;
}

const methods = {
  request: (options: RequestOptions): Promise<Answer> => request(options),
  /** So many at once. */
  requests: (options: RequestOptions & { count: number }): Promise<Answer[]> =>
    Promise.all(Array.from({ length: options.count }, () => request(options))),

  startRequests: (options: StreamOptions & { as: string }): void => {
    streams.set(options.as, new RequestStream(options));
  },
  requestReport: (as: string): RequestReport => held(streams, as).report(),
  stopRequests: (as: string): Promise<RequestReport> => held(streams, as).stop(),

  startEcho: (options: EchoOptions & { as: string }): void => {
    echoes.set(options.as, new EchoStream(options));
  },
  echoReport: (as: string): EchoReport => held(echoes, as).report(),
  stopEcho: (as: string): Promise<EchoReport> => held(echoes, as).stop(),

  datagram: (options: DatagramOptions): Promise<DatagramAnswer> => datagram(options),

  mirror: (options: MirrorOptions): Promise<MirrorAnswer> => mirror(options),

  startDownload: (options: DownloadOptions & { as: string }): void => {
    downloads.set(options.as, new Download(options));
  },
  download: (as: string): DownloadState => held(downloads, as).state,
};
export type ClientMethods = typeof methods;

serve(methods);
