import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SyncKey } from '../dataplane/addon.js';
import { formatKeyId } from './keys.js';

/** How far the clocks of two nodes may be apart. */
export const TOKEN_MS = 60_000;
const NONCE_BYTES = 16;
const PROOF_BYTES = 32;
const MAX_NONCES = 65_536;

export interface TokenClaims {
  /** Sender. */
  readonly node: number;
  /** Of the one who is to accept it. */
  readonly boot: bigint;
  readonly atMs: number;
  readonly nonce: string;
}

interface Signed {
  /** "/spillway.v1.PeerService/Fetch" */
  readonly method: string;
  /** The request's bytes as sent. */
  readonly request: Uint8Array;
}

/** "v1 node boot atMs nonce keyId mac", numbers decimal but the key's id, bytes hexadecimal. */
export function signToken(claims: TokenClaims, { method, request }: Signed, key: SyncKey): string {
  const { node, boot, atMs, nonce } = claims;
  return `v1 ${node} ${boot} ${atMs} ${nonce} ${formatKeyId(key.id)} ${macOf(claims, { method, request }, key).toString('hex')}`;
}

function macOf({ node, boot, atMs, nonce }: TokenClaims, { method, request }: Signed, { key }: SyncKey): Buffer {
  const digest = createHash('sha256').update(request).digest('hex');
  return createHmac('sha256', key)
    .update(['spillway token v1', node, boot, atMs, nonce, method, digest].join('\0'))
    .digest();
}

export function newNonce(random: (count: number) => Uint8Array): string {
  return Buffer.from(random(NONCE_BYTES)).toString('hex');
}

const shape = /^v1 (\d{1,10}) (\d{1,20}) (\d{1,16}) ([0-9a-f]{32}) ([0-9a-f]{8}) ([0-9a-f]{64})$/;

export type Verdict =
  | { readonly ok: true; readonly claims: TokenClaims; readonly key: SyncKey }
  | { readonly ok: false; readonly reason: string };

/** Accepts each token once, within a minute of its making, for this boot alone. */
export class TokenGate {
  /** Nonces seen, and until when they matter; in order of arrival. */
  readonly #seen = new Map<string, number>();

  constructor(private readonly options: { boot: bigint; keys: () => readonly SyncKey[]; wallMs: () => number }) {}

  /** What stands against an unknown caller says no more than it has to. */
  check(token: string | undefined, signed: Signed): Verdict {
    const parts = token === undefined ? null : shape.exec(token);
    if (parts === null) return refuse('no token of version 1');
    const [, node, boot, atMs, nonce, keyId, mac] = parts;
    const claims = { node: Number(node), boot: BigInt(boot!), atMs: Number(atMs), nonce: nonce! };
    const key = this.options.keys().find(({ id }) => formatKeyId(id) === keyId);
    if (key === undefined) return refuse(`key ${keyId} is not among this node's sync keys`);
    if (!timingSafeEqual(macOf(claims, signed, key), Buffer.from(mac!, 'hex')))
      return refuse('the token is not genuine');
    if (claims.boot !== this.options.boot)
      return refuse('the token is for another start of this agent: hear its beacon first');
    const apartMs = claims.atMs - this.options.wallMs();
    if (Math.abs(apartMs) > TOKEN_MS) {
      return refuse(`the token's time is ${Math.round(apartMs / 1000)} s off this node's clock: set the clocks by NTP`);
    }
    if (this.#seen.has(claims.nonce)) return refuse('the token was used before');
    return this.#remember(claims) ? { ok: true, claims, key } : refuse('too many calls within a minute');
  }

  #remember({ nonce, atMs }: TokenClaims): boolean {
    const now = this.options.wallMs();
    for (const [old, until] of this.#seen) {
      if (until >= now) break;
      this.#seen.delete(old);
    }
    if (this.#seen.size >= MAX_NONCES) return false;
    this.#seen.set(nonce, Math.max(now, atMs) + TOKEN_MS + 1);
    return true;
  }
}

function refuse(reason: string): Verdict {
  return { ok: false, reason };
}

/** A field 15 of 32 bytes at the end of a message: protobuf's own framing of it. */
const PROOF_TAG = Buffer.from([(15 << 3) | 2, PROOF_BYTES]);

/** Who answers shows that it holds the key and has read this very request. `index`: of the message in the answer. */
export interface ProofOf {
  readonly nonce: string;
  readonly index: number;
  readonly key: SyncKey;
}

export function withProof(message: Uint8Array, proof: ProofOf): Buffer {
  return Buffer.concat([message, PROOF_TAG, proofOf(message, proof)]);
}

/** The message without its proof, or null where that is wrong. */
export function checkProof(bytes: Uint8Array, proof: ProofOf): Uint8Array | null {
  const at = bytes.length - PROOF_BYTES - PROOF_TAG.length;
  if (at < 0 || bytes[at] !== PROOF_TAG[0] || bytes[at + 1] !== PROOF_TAG[1]) return null;
  const message = bytes.subarray(0, at);
  return timingSafeEqual(proofOf(message, proof), bytes.subarray(at + PROOF_TAG.length)) ? message : null;
}

function proofOf(message: Uint8Array, { nonce, index, key }: ProofOf): Buffer {
  return createHmac('sha256', key.key).update(`spillway answer v1\0${nonce}\0${index}\0`).update(message).digest();
}
