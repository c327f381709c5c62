#!/usr/bin/env python3
"""Prints the footer of a VHD as JSON, read by the specification alone.

Independent of vhdkit: written from "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006), to hold vhdkit's output
against. usage: vhdfooter.py FILE...   (one object a line)
"""

import json
import os
import struct
import sys
import uuid

LAYOUT = ">8s I I Q I 4s I 4s Q Q H B B I I 16s B"
NAMES = (
    "cookie features version data_offset timestamp creator creator_version host original_size current_size cylinders heads sectors "
    "disk_type checksum unique_id saved_state"
).split()


def geometry(size):
    """The appendix of the specification: cylinders, heads, sectors."""
    total = min(size // 512, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        track, heads, cth = 255, 16, total // 255
    else:
        track, cth = 17, total // 17
        heads = max(4, (cth + 1023) // 1024)
        if cth >= heads * 1024 or heads > 16:
            track, heads, cth = 31, 16, total // 31
        if cth >= heads * 1024:
            track, heads, cth = 63, 16, total // 63
    return [cth // heads, heads, track]


def footer(path):
    """All fields of the last 512 bytes, and what they should be."""
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(length - 512)
        data = file.read(512)
    fields = dict(zip(NAMES, struct.unpack_from(LAYOUT, data)))
    for name in ("cookie", "creator", "host"):
        fields[name] = fields[name].decode("latin-1")
    fields["unique_id"] = str(uuid.UUID(bytes=fields["unique_id"]))
    fields["geometry"] = [fields.pop("cylinders"), fields.pop("heads"), fields.pop("sectors")]
    fields["computed"] = ~sum(data[:64] + data[68:]) & 0xFFFFFFFF
    fields["reserved_is_zero"] = not any(data[85:])
    fields["geometry_by_spec"] = geometry(fields["current_size"])
    fields["file_size"] = length
    return fields


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(json.dumps(footer(name)))
