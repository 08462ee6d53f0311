"""Sends one UDP datagram in fragments of its own making, in any order, and waits for the answer.

Usage: send_fragments.py SOURCE DESTINATION PORT BYTES ORDER DELAY_MS

ORDER is "forward", "reversed" (the first one last) or "first-last" (the others in order, the first one last). DELAY_MS
is waited before the fragment that carries the UDP header. Prints one JSON object: the answer's length, and what stands
behind the data in it; or {"error": ...} after three seconds.
"""

import ipaddress
import json
import os
import socket
import struct
import sys
import time

PIECE = 1448  # a multiple of 8


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(source, destination, from_port, to_port, data):
    length = 8 + len(data)
    if source.version == 4:
        pseudo = source.packed + destination.packed + struct.pack("!BBH", 0, 17, length)
    else:
        pseudo = source.packed + destination.packed + struct.pack("!IHBB", length, 0, 0, 17)
    head = struct.pack("!HHHH", from_port, to_port, length, 0)
    return struct.pack("!HHHH", from_port, to_port, length, checksum(pseudo + head + data) or 0xFFFF) + data


def fragment4(source, destination, ident, offset, more, piece):
    flags = (0x2000 if more else 0) | offset // 8
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(piece), ident & 0xFFFF, flags, 64, 17, 0, source.packed, destination.packed)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + piece


def fragment6(source, destination, ident, offset, more, piece):
    extension = struct.pack("!BBHI", 17, 0, offset | (1 if more else 0), ident)
    return struct.pack("!IHBB16s16s", 6 << 28, 8 + len(piece), 44, 64, source.packed, destination.packed) + extension + piece


def main():
    source, destination = ipaddress.ip_address(sys.argv[1]), ipaddress.ip_address(sys.argv[2])
    port, count, order, delay_ms = int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], int(sys.argv[6])
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    answers = socket.socket(family, socket.SOCK_DGRAM)
    answers.bind((str(source), 0))
    answers.settimeout(3)
    data = os.urandom(count)
    datagram = udp(source, destination, answers.getsockname()[1], port, data)
    make = fragment4 if source.version == 4 else fragment6
    ident = int.from_bytes(os.urandom(4), "big")
    pieces = []
    for offset in range(0, len(datagram), PIECE):
        piece = datagram[offset : offset + PIECE]
        pieces.append(make(source, destination, ident, offset, offset + PIECE < len(datagram), piece))
    first, others = pieces[0], pieces[1:]
    if order == "reversed":
        others.reverse()
    plan = [(first, 0)] + [(other, 0) for other in others]
    if order != "forward":
        plan = [(other, 0) for other in others] + [(first, delay_ms)]
    out = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for packet, wait_ms in plan:
        time.sleep(wait_ms / 1000)
        out.sendto(packet, (str(destination), 0))
    try:
        answer = answers.recv(65535)
    except socket.timeout:
        print(json.dumps({"error": "no answer"}))
        return
    same = answer[:count] == data
    print(json.dumps({"same": same, "hello": json.loads(answer[count:]), "fragments": len(pieces)}))


main()
