#!/usr/bin/env python3
"""Writes the differencing pair of testdata by the specification: parent.vhd (dynamic) and child.vhd over it.

Source: "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006). Everything is fixed, so that each run writes the same
bytes. usage: pair.py DIRECTORY
"""

import pathlib
import struct
import sys
import uuid

SIZE = 20 << 20
BLOCK = 4096
PARENT_ID = uuid.UUID("5f0c6a1e-0000-4000-8000-00000000a001").bytes
CHILD_ID = uuid.UUID("5f0c6a1e-0000-4000-8000-00000000a002").bytes
TIME = 757382400  # 2024-01-01T00:00:00Z, in seconds since 2000.


def seal(data, at):
    """Puts the complement of the sum of all other bytes at `at`."""
    data[at : at + 4] = bytes(4)
    data[at : at + 4] = struct.pack(">I", ~sum(data) & 0xFFFFFFFF)
    return bytes(data)


def geometry(size):
    """Cylinders, heads, sectors by the specification's appendix, for sizes below 504 MiB."""
    cth = size // 512 // 17
    heads = max(4, (cth + 1023) // 1024)
    if heads > 16 or cth >= heads * 1024:
        cth = size // 512 // 31
        return cth // 16, 16, 31
    return cth // heads, heads, 17


def footer(kind, unique_id):
    """A footer as Hyper-V writes it."""
    fields = (b"conectix", 2, 0x10000, 512, TIME, b"win ", 0xA0000, b"Wi2k", SIZE, SIZE, *geometry(SIZE), kind, 0, unique_id)
    return seal(bytearray(struct.pack(">8sIIQI4sI4sQQHBBII16s", *fields).ljust(512, b"\0")), 64)


def header(table_offset, parent, locators):
    """A dynamic header, with the parent's name and locators if there is one."""
    data = bytearray(1024)
    struct.pack_into(">8sQQIII", data, 0, b"cxsparse", 2**64 - 1, table_offset, 0x10000, SIZE // BLOCK, BLOCK)
    if parent:
        data[40:56] = PARENT_ID
        struct.pack_into(">I", data, 56, TIME)
        name = parent.encode("utf-16-be")
        data[64 : 64 + len(name)] = name
    for place, (code, length, offset) in enumerate(locators):
        struct.pack_into(">4sIIIQ", data, 576 + 24 * place, code, 512, length, 0, offset)
    return seal(data, 36)


def sparse(kind, unique_id, blocks, parent=None):
    """A whole file. `blocks` is {number: {sector: 512 bytes}}; bitmaps mark exactly those sectors."""
    table_offset, entries = 1536, SIZE // BLOCK
    table = bytearray(b"\xff" * (-(-entries * 4 // 512) * 512))
    at = table_offset + len(table)
    locators, extra = [], b""
    if parent:
        path = (".\\" + parent).encode("utf-16-le")
        locators = [(b"W2ru", len(path), at)]
        extra = path.ljust(512, b"\0")
    at += len(extra)
    body = b""
    for number, sectors in blocks.items():
        struct.pack_into(">I", table, number * 4, (at + len(body)) // 512)
        bitmap = bytearray(512)
        data = bytearray(BLOCK)
        for sector, content in sectors.items():
            bitmap[sector // 8] |= 0x80 >> sector % 8
            data[sector * 512 : sector * 512 + 512] = content
        body += bytes(bitmap + data)
    end = footer(kind, unique_id)
    return end + header(table_offset, parent, locators) + bytes(table) + extra + body + end


def text(line):
    """A sector that says who wrote it."""
    return line.encode("ascii").ljust(512, b".")


def main():
    folder = pathlib.Path(sys.argv[1])
    whole = {sector: text(f"parent, block 256, sector {sector}") for sector in range(BLOCK // 512)}
    last = {7: text("parent, the last sector of the disk")}
    (folder / "parent.vhd").write_bytes(sparse(3, PARENT_ID, {256: whole, SIZE // BLOCK - 1: last}))
    some = {sector: text(f"child, block 256, sector {sector}") for sector in (0, 3, 7)}
    fresh = {2: text("child, block 1000, sector 2")}
    (folder / "child.vhd").write_bytes(sparse(4, CHILD_ID, {1000: fresh, 256: some}, "parent.vhd"))


if __name__ == "__main__":
    main()
