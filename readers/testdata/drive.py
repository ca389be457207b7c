"""Answers each line of JSON, a value and what invalidates it, with the frames and their states."""
import json
import sys

import tiercache_frame as reader


def unhex(v):
    return None if v is None else bytes.fromhex(v)


for line in sys.stdin:
    q = json.loads(line)
    try:
        frames = reader.parse(unhex(q["value"]))
    except reader.NotAFrame:
        print("null")
        continue
    print(json.dumps([{
        "codec": f.codec, "payload": f.payload.hex(), "absent": f.absent, "expired": f.expired, "schema": str(f.schema),
        "created": f.created_ms, "freshFor": f.fresh_for_ms, "took": f.took_ms, "windows": f.windows_ms and list(f.windows_ms), "tags": f.tags,
        "state": f.state(q["now"], unhex(q["epoch"]), unhex(q["count"]), [unhex(t) for t in q["tags"]]),
    } for f in frames]))
