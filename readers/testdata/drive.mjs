// Answers each line of JSON, a value and what invalidates it, with the frames and their states.
import { createInterface } from "node:readline";
const { parse, state, NotAFrame } = await import(process.argv[2]);
const unhex = (v) => v === null ? null : Uint8Array.from(Buffer.from(v, "hex"));
for await (const line of createInterface({ input: process.stdin })) {
	const q = JSON.parse(line);
	try {
		const of = { epoch: unhex(q.epoch), count: unhex(q.count), tags: q.tags.map(unhex) };
		console.log(JSON.stringify(parse(unhex(q.value)).map((f) => ({
			codec: f.codec, payload: Buffer.from(f.payload).toString("hex"), absent: f.absent, expired: f.expired, schema: String(f.schema),
			created: f.created, freshFor: f.freshFor, took: f.took, windows: f.windows ? Object.values(f.windows) : null, tags: f.tags, state: state(f, q.now, of),
		}))));
	} catch (e) {
		if (!(e instanceof NotAFrame) && !(e instanceof TypeError)) throw e;
		console.log("null");
	}
}
