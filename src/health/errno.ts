/**
 * Errors of this host: it could not send the probe at all. They must not take backends out, since they would take
 * out all of them at once. The value is the remedy.
 *
 * ENETUNREACH and EHOSTUNREACH are not among them: routers send them for backends that are really out of reach.
 */
const remedies: Readonly<Record<string, string>> = {
  EMFILE: 'raise LimitNOFILE of the agent',
  ENFILE: 'raise fs.file-max',
  ENOMEM: 'this host is out of memory',
  ENOBUFS: 'this host is out of socket buffers',
  EADDRNOTAVAIL: 'no free source port or address: widen net.ipv4.ip_local_port_range, set net.ipv4.tcp_tw_reuse=1',
  EADDRINUSE: 'no free source port: widen net.ipv4.ip_local_port_range',
  EAGAIN: 'this host is short of resources',
  ENETDOWN: 'the interface towards it is down',
  ENODEV: 'the interface towards it is gone',
  EAFNOSUPPORT: 'this address family is switched off on this host',
  EPERM: 'the agent needs CAP_NET_ADMIN, and no firewall rule may reject its probes',
  EACCES: 'a prohibit route or a firewall of this host rejects the probes',
  EINVAL: 'the kernel refuses the socket',
  ECANCELED: 'the probe was given up',
  ENOANSWER: 'the prober lost the probe',
};

export function isLocalError(code: string): boolean {
  return Object.hasOwn(remedies, code);
}

export function remedyOf(code: string): string {
  return remedies[code] ?? 'see the errno';
}

/** "250 ms", "5 s", "1.5 s" */
export function formatDuration(durationMs: number): string {
  return durationMs < 1000 ? `${durationMs} ms` : `${durationMs / 1000} s`;
}

/** Bytes of a stranger in a reason: at most 40, quoted, nothing that a terminal would obey. */
export function quoteBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes.subarray(0, 40)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}${bytes.length > 40 ? '...' : ''}"`;
}
