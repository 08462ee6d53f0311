/** As much of rtnetlink as the tests of the socket need (linux/netlink.h, linux/rtnetlink.h). */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;

/** nlmsghdr and an empty ifinfomsg. */
export function dumpLinks(sequence: number): Uint8Array {
  const message = new Uint8Array(32);
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
  view.setUint32(8, sequence, true);
  return message;
}

export function messages(datagram: Uint8Array): { type: number; body: DataView }[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const found = [];
  for (let offset = 0; offset + 16 <= view.byteLength; ) {
    const length = view.getUint32(offset, true);
    const body = new DataView(view.buffer, view.byteOffset + offset + 16, length - 16);
    found.push({ type: view.getUint16(offset + 4, true), body });
    offset += Math.ceil(length / 4) * 4;
  }
  return found;
}
