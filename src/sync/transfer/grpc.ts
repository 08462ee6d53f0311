import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { InvalidError } from '../../base/errors.js';
import type { SyncConfig } from '../../config/cluster.js';
import type { RandomBytes, TransferPort } from '../ports.js';
import { connectPeer } from './client.js';
import { servePeers } from './server.js';

export interface GrpcTransferOptions {
  readonly tls: SyncConfig['tls'];
  readonly random: RandomBytes;
  readonly wallMs: () => number;
}

/**
 * The transfer between nodes by gRPC: with mutual TLS where configured, and by tokens of the sync keys in any case.
 * @throws InvalidError when a certificate cannot be used.
 */
export function grpcTransfer({ tls, random, wallMs }: GrpcTransferOptions): TransferPort {
  const pem = tls === null ? null : readPems(tls);
  const ofServer =
    pem === null
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(pem.ca, [{ private_key: pem.key, cert_chain: pem.certificate }], true);
  /* Nodes have addresses, and certificates names: that the cluster's authority signed it is what counts, and who it is
     the token and the proofs say. */
  const ofClient =
    pem === null
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(pem.ca, pem.key, pem.certificate, { checkServerIdentity: () => undefined });
  return {
    serve: (handlers, options) => servePeers(handlers, { ...options, credentials: ofServer, wallMs }),
    connect: (target, identity) => connectPeer({ target, identity, credentials: ofClient, random, wallMs }),
  };
}

function readPems(tls: NonNullable<SyncConfig['tls']>) {
  const read = (key: keyof typeof tls): Buffer => {
    try {
      return readFileSync(tls[key]);
    } catch (error) {
      const description = `${tls[key]} cannot be read: ${(error as Error).message}`;
      throw new InvalidError([{ field: `sync.tls.${key}`, description }]);
    }
  };
  const pem = { certificate: read('certificate'), key: read('key'), ca: read('ca') };
  try {
    createSecureContext({ cert: pem.certificate, key: pem.key, ca: pem.ca });
  } catch (error) {
    const description = `certificate, key and ca cannot be used together: ${(error as Error).message}`;
    throw new InvalidError([{ field: 'sync.tls', description }]);
  }
  return pem;
}
