import type * as message from '../api/generated/messages.generated.js';
import type { QuicConfig } from './desired.js';
import { type At, Unique } from './rules.js';

/** draft-ietf-quic-load-balancers: 20 bytes of connection id at most, of which the first octet is not ours. */
const maxTogether = 19;
/** One AES block: the single-pass form. */
const block = 16;
const minNonce = 4;
export const maxServerId = 15;

/** What the scheduler QCH needs; nothing for others. */
export function readQuic(from: message.Listener, { path, violations }: At): readonly QuicConfig[] {
  if (from.scheduler !== 'QCH') {
    if (from.quic !== null) violations.add(path, 'only with the scheduler QCH: leave it out, or set scheduler to QCH');
    return [];
  }
  if (from.quic === null || from.quic.configs.length === 0) {
    violations.add(
      `${path}.configs`,
      'required with QCH: how the backends write their server ids into connection ids, as ' +
        '{"id": 0, "serverIdLength": 4, "nonceLength": 12}',
    );
    return [];
  }
  const { configs } = from.quic;
  const ids = new Unique('config id', violations, (index) => `${path}.configs[${index}].id`);
  configs.forEach((config, index) => {
    const at = { path: `${path}.configs[${index}]`, violations };
    if (config.id > 6)
      violations.add(`${at.path}.id`, `${config.id} is not within 0 to 6 (7 marks ids without a server)`);
    else ids.add(String(config.id), index);
    const first = configs[0]!.serverIdLength;
    if (config.serverIdLength !== first) {
      violations.add(
        `${at.path}.serverIdLength`,
        `${config.serverIdLength} is not the ${first} of ${path}.configs[0]: a backend has one server id, of one length`,
      );
    } else {
      checkLengths(config, at);
    }
    if (config.key.length !== 0 && config.key.length !== 16) {
      violations.add(`${at.path}.key`, `${config.key.length} bytes; an AES-128 key has 16 (unset: ids in plain text)`);
    }
  });
  return configs.map(({ id, serverIdLength, nonceLength, key }) => ({
    id,
    serverIdLength,
    nonceLength,
    key: key.length === 0 ? null : Uint8Array.from(key),
  }));
}

function checkLengths({ serverIdLength: server, nonceLength: nonce, key }: message.QuicConfig, at: At): void {
  const { path, violations } = at;
  const encrypted = key.length > 0;
  const mostServer = encrypted ? block - minNonce : maxServerId;
  if (server < 1 || server > mostServer) {
    const why = encrypted ? ' with a key: with the nonce, of at least 4, it fills one AES block of 16' : '';
    violations.add(`${path}.serverIdLength`, `${server} is not within 1 to ${mostServer} bytes${why}`);
  } else if (encrypted && server + nonce !== block) {
    violations.add(
      `${path}.nonceLength`,
      `${nonce} bytes beside a server id of ${server}: with a key both fill one AES block of 16, so ${block - server}`,
    );
  } else if (!encrypted && (nonce < minNonce || server + nonce > maxTogether)) {
    violations.add(
      `${path}.nonceLength`,
      `${nonce} is not within ${minNonce} to ${maxTogether - server} bytes beside a server id of ${server}`,
    );
  }
}
