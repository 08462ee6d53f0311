import type { LinkMessage } from './decode-link.js';
import type { InterfaceState } from './types.js';

export interface Link
  extends InterfaceState,
    Pick<LinkMessage, 'loopback' | 'type' | 'master' | 'parent' | 'vlan' | 'bond' | 'slave'> {}

/** The links of the namespace as last seen. A device without an Ethernet address has mac ''. */
export class Links {
  readonly #links = new Map<number, Link>();
  #seen = new Set<number>();

  get(ifindex: number): Link | null {
    return this.#links.get(ifindex) ?? null;
  }

  all(): Iterable<Link> {
    return this.#links.values();
  }

  named(name: string): Link | null {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return null;
  }

  /** True when anything that matters here has changed; kernels announce links for much else. */
  update(message: LinkMessage): boolean {
    const before = this.#links.get(message.ifindex);
    if (message.removed) return this.#links.delete(message.ifindex);
    this.#seen.add(message.ifindex);
    const link = {
      ifindex: message.ifindex,
      name: message.name ?? before?.name ?? '',
      mac: message.mac ?? '',
      mtu: message.mtu ?? before?.mtu ?? 0,
      up: message.up,
      loopback: message.loopback,
      type: message.type,
      master: message.master || null,
      parent: message.parent || null,
      vlan: message.vlan,
      bond: message.bond,
      slave: message.slave,
    };
    this.#links.set(message.ifindex, link);
    return !before || JSON.stringify(before) !== JSON.stringify(link);
  }

  dumpBegins(): void {
    this.#seen = new Set();
  }

  /** True when a link had gone without our hearing of it. */
  dumpDone(): boolean {
    const gone = [...this.#links.keys()].filter((ifindex) => !this.#seen.has(ifindex));
    for (const ifindex of gone) this.#links.delete(ifindex);
    return gone.length > 0;
  }
}
