"""Snapshots as a trainer writes them, in plain Python: safetensors, and increments in the on-disk format of slime and
Miles. Shares no code with what reads them, nor with ebb-trainer."""
import json
import os
import random
import struct
import zlib

MASK = (1 << 64) - 1
PRIMES = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def _rotated(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def _round(acc, lane):
    return _rotated((acc + lane * PRIMES[1]) & MASK, 31) * PRIMES[0] & MASK


def xxh64(data):
    """XXH64 with seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)."""
    at, size = 0, len(data)
    if size >= 32:
        accs = [(PRIMES[0] + PRIMES[1]) & MASK, PRIMES[1], 0, (-PRIMES[0]) & MASK]
        while at + 32 <= size:
            accs = [_round(acc, lane) for acc, lane in zip(accs, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = sum(_rotated(acc, bits) for acc, bits in zip(accs, (1, 7, 12, 18))) & MASK
        for acc in accs:
            h = ((h ^ _round(0, acc)) * PRIMES[0] + PRIMES[3]) & MASK
    else:
        h = PRIMES[4]
    h = (h + size) & MASK
    while at + 8 <= size:
        h = (_rotated(h ^ _round(0, struct.unpack_from("<Q", data, at)[0]), 27) * PRIMES[0] + PRIMES[3]) & MASK
        at += 8
    if at + 4 <= size:
        h = (_rotated(h ^ (struct.unpack_from("<I", data, at)[0] * PRIMES[0] & MASK), 23) * PRIMES[1] + PRIMES[2]) & MASK
        at += 4
    for byte in data[at:]:
        h = _rotated(h ^ (byte * PRIMES[4] & MASK), 11) * PRIMES[0] & MASK
    h = (h ^ (h >> 33)) * PRIMES[1] & MASK
    h = (h ^ (h >> 29)) * PRIMES[2] & MASK
    return h ^ (h >> 32)


def digest(tensors):
    """What ebb-engine says of weights that it has loaded: over name, 0, dtype, 0, bytes of each tensor, by name."""
    text = b"".join(name.encode() + b"\0F32\0" + bytes(tensors[name]) for name in sorted(tensors))
    return f"{xxh64(text):016x}"


def first_weights(seed, layers=2, size=256):
    """{name: bytes of F32 values}; what training begins with."""
    dice = random.Random(seed)
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    names += [f"model.layers.{i}.mlp.up_proj.weight" for i in range(layers)]
    return {name: bytearray(struct.pack(f"<{size}f", *(dice.uniform(-1, 1) for _ in range(size)))) for name in names}


def trained(tensors, seed, step):
    """One step further: about one value in fifty of each tensor moves; one tensor a step stands still."""
    dice = random.Random(f"{seed}/{step}")
    out = {name: bytearray(data) for name, data in tensors.items()}
    still = dice.choice(sorted(out))
    for name, data in out.items():
        for at in range(0, len(data), 4):
            if name != still and dice.random() < 0.02:
                data[at] ^= dice.randrange(1, 256)
    return out


def zstd_frame(data):
    """A zstd frame of stored blocks (RFC 8878, 3.1.1): valid, and without the library."""
    frame = struct.pack("<IBQ", 0xFD2FB528, 0b11100000, len(data))  # single segment, 8 bytes of content size
    blocks = [data[at:at + 65536] for at in range(0, len(data), 65536)] or [b""]
    for i, block in enumerate(blocks):
        header = len(block) << 3 | (1 if i + 1 == len(blocks) else 0)
        frame += struct.pack("<I", header)[:3] + block
    return frame


def safetensors(entries, metadata):
    """entries: {name: (dtype, shape, bytes)}."""
    header, at, data = {"__metadata__": metadata}, 0, b""
    for name, (dtype, shape, payload) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(payload)]}
        at += len(payload)
        data += bytes(payload)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _put(directory, name, data):
    path = os.path.join(directory, name)
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.replace(path + ".tmp", path)


def _write(directory, shards, metadata):
    os.makedirs(directory)
    weight_map = {}
    for i, (entries, own) in enumerate(shards):
        name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        _put(directory, name, safetensors(entries, own))
        weight_map.update({tensor: name for tensor in entries})
    _put(directory, "config.json", json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}).encode())
    _put(directory, "model.safetensors.index.json",
         json.dumps({"metadata": metadata, "weight_map": weight_map}).encode())


def write_full(directory, tensors, version):
    shards = [({name: ("F32", [len(data) // 4], data)}, {"format": "pt"}) for name, data in sorted(tensors.items())]
    _write(directory, shards, {"version": f"{version:06}", "total_size": sum(map(len, tensors.values()))})


def write_increment(directory, tensors, version, base, base_version, damaged=False):
    """xor, checksums adler32. `damaged`: the first checksum is not that of its tensor."""
    shards = []
    for name, data in sorted(tensors.items()):
        if data == base[name]:
            continue
        payload = zstd_frame(bytes(a ^ b for a, b in zip(data, base[name])))
        checksum = zlib.adler32(data) ^ (1 if damaged and not shards else 0)
        shards.append(({name: ("U8", [len(payload)], payload)}, {name: f"{checksum:08x}"}))
    _write(directory, shards, {"version": f"{version:06}", "base_version": f"{base_version:06}",
                               "delta_encoding": "xor", "compression_format": "zstd", "checksum_format": "adler32"})
