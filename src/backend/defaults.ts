export const defaultGuePort = 6080;

/** Dots are reserved in a bpffs, and interface names (eth0.100) may hold them; a colon they may not. */
export function pinName(name: string): string {
  return name.replaceAll('.', ':');
}

export function defaultInstance(interfaceName: string): string {
  return `backend-${pinName(interfaceName)}`;
}
