"""The PyPI package tlog-scales reads a log's checkpoint and tiles, with nothing of the log's own."""

import json
import sys

from tlog_scales.backend import HttpBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

task = json.load(sys.stdin)
reader = TilesReader(HttpBackend(task["log"]))
checkpoint = reader.get_checkpoint()
checkpoint.verify(Vkey.from_string(task["vkey"]))
assert reader.calculate_root_hash() == checkpoint.root_hash, "the tiles do not lead to the root"

for index in range(checkpoint.size):
    entry = reader.get_entry(index)
    reader.get_inclusion_proof(index, checkpoint.size).check(leaf_hash(entry), checkpoint.root_hash)
    assert entry.hex() == task["entries"][index], f"entry {index} is another"

for size in range(1, checkpoint.size + 1, 37):
    older = TilesReader(HttpBackend(task["log"]))
    older.set_size(checkpoint.size)
    proof = older.get_consistency_proof(size, checkpoint.size)
    proof.check(older.mth(0, size), checkpoint.root_hash)

print(json.dumps({"origin": checkpoint.origin, "size": checkpoint.size}))
