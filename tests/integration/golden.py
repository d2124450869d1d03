"""Reads safetensors files of fixtures with numpy alone."""
import json
import struct

import numpy

TYPES = {"F32": numpy.float32, "F16": numpy.float16, "I32": numpy.int32, "I64": numpy.int64, "U8": numpy.uint8}


def load(path):
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            start, end = t["data_offsets"]
            out[name] = numpy.frombuffer(data[8 + length + start:8 + length + end], TYPES[t["dtype"]]).reshape(t["shape"])
    return out


def cases(path):
    """[(prompt ids, greedy ids)] of a golden file."""
    g = load(path)
    return [(g[f"prompt_{k}"].tolist(), g[f"greedy_{k}"].tolist()) for k in range(100) if f"prompt_{k}" in g]
