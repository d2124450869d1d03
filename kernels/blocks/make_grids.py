#!/usr/bin/env python3
"""Write grids.c: which sizes stand together in the iq types, a fact of the format.

usage: make_grids.py > kernels/blocks/grids.c
The numbers are those of the `gguf` Python package (gguf/quants.py), which packs them as this file does: 2 bits a size
in grids of eight, 4 bits in grids of four.
Needs: pip install gguf
"""
from gguf import quants

GRIDS = [("iq1", quants.IQ1_S), ("iq2_xxs", quants.IQ2_XXS), ("iq2_xs", quants.IQ2_XS), ("iq2_s", quants.IQ2_S),
         ("iq3_xxs", quants.IQ3_XXS), ("iq3_s", quants.IQ3_S)]

print("/* Written by make_grids.py. The numbers define the formats; they are those of the gguf Python package. */")
print("/* clang-format off */")
print('#include "kernels/blocks/blocks.h"')
for name, kind in GRIDS:
    raw = bytes.fromhex(kind.grid_hex.decode())
    values = [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]
    assert len(values) == kind.grid_shape[0]
    print(f"\nconst uint16_t block_grid_{name}[{len(values)}] = {{")
    for i in range(0, len(values), 16):
        print("    " + ",".join(f"0x{v:04x}" for v in values[i:i + 16]) + ",")
    print("};")
