// Reads the values that caches of tiercache keep in Redis. docs/format.md describes them. It needs nothing but the language.
//
//	const frames = parse(await client.getBuffer("tc:users:42"));
//	const [epoch, count] = await client.mgetBuffer("tc:users!era{users}", "tc:users!count{users}");
//	for (const f of frames) {
//		const tags = await Promise.all(f.tags.map((tag) => client.getBuffer("tc:users!tag:" + tag)));
//		if (f.codec === "json" && state(f, now, { epoch, count, tags }) === "fresh") return JSON.parse(new TextDecoder().decode(f.payload));
//	}
//
// now is Redis's time in milliseconds, by its command TIME.

declare class TextDecoder { // of every browser and server
	constructor(label: string, options?: { fatal: boolean });
	decode(b: Uint8Array): string;
}

export interface Frame {
	codec: string;
	payload: Uint8Array;
	absent: boolean; // the source has no value, and the payload is empty
	expired: boolean; // an Expire has made it stale
	schema: bigint; // 0: none
	created: number; // times are in milliseconds
	freshFor: number;
	took: number;
	windows?: { refreshAfter: number; staleWhileRevalidate: number; staleIfError: number }; // undefined: the policy's
	epoch: Uint8Array;
	seq: bigint;
	tags: string[];
}

// Invalidations are the values of the keys of invalidations; null: there is none.
export interface Invalidations {
	epoch: Uint8Array | null;
	count: Uint8Array | null;
	tags: (Uint8Array | null)[];
}

// NotAFrame is the error of bytes that another program wrote, or that are damaged.
export class NotAFrame extends Error {}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const table = Uint32Array.from({ length: 256 }, (_, n) => {
	for (let i = 0; i < 8; i++) n = (n >>> 1) ^ (n & 1 ? 0x82f63b78 : 0);
	return n;
});

// parse returns the frames of a key, one of each release, the last written first; none for a lease: a process loads the value.
export function parse(b: Uint8Array): Frame[] {
	if (startsWith(b, [0xc1, 0x74, 0x6c])) return [];
	const frames: Frame[] = [];
	while (b.length > 0 || frames.length === 0) {
		const [f, rest] = parseOne(b);
		f.expired ||= frames.length > 0 && frames[0].expired;
		frames.push(f);
		b = rest;
	}
	return frames;
}

// state returns how a frame may be served at the instant now.
export function state(f: Frame, now: number, of: Invalidations): "fresh" | "stale" | "invalid" {
	let expiry = of.epoch && same(of.epoch, f.epoch) ? number(of.epoch.length > 8 ? of.epoch.subarray(8) : Uint8Array.of(0x30)) : null;
	if (expiry === null || number(of.count) === null) return "invalid";
	for (const record of of.tags) {
		if (!record || !same(record, f.epoch)) return "invalid";
		const tilde = record.indexOf(0x7e, 8);
		const seq = number(record.subarray(8, tilde < 0 ? undefined : tilde));
		const later = tilde < 0 ? 0n : number(record.subarray(tilde + 1));
		if (seq === null || later === null || f.seq < seq) return "invalid";
		if (later > expiry) expiry = later;
	}
	if (!f.expired && f.seq >= expiry && Math.max(0, now - f.created) < f.freshFor) return "fresh";
	return f.absent ? "invalid" : "stale";
}

function parseOne(b: Uint8Array): [Frame, Uint8Array] {
	if (!startsWith(b, [0xc1, 0x74, 0x63, 1]) || b.length < 18) throw new NotAFrame("another program's value");
	const view = new DataView(b.buffer, b.byteOffset, b.length);
	const flags = b[17];
	const has = (flag: number) => (flags & flag) !== 0;
	if (has(4) && b.length < 30) throw new NotAFrame("a damaged frame");
	const end = has(4) ? view.getUint32(26) : b.length;
	const schema = has(4) ? view.getBigUint64(18) : 0n;
	let at = has(4) ? 30 : 18;
	if (end < at || end > b.length || crc32c(b.subarray(9, end)) !== view.getUint32(5) || flags > 7 || (has(4) && schema === 0n)) {
		throw new NotAFrame("a damaged frame");
	}
	const take = (n: number): Uint8Array => {
		if (at + n > end) throw new NotAFrame("a damaged frame");
		at += n;
		return b.subarray(at - n, at);
	};
	const uvarint = (): bigint => {
		for (let v = 0n, shift = 0n; ; shift += 7n) {
			const byte = take(1)[0];
			v |= BigInt(byte & 0x7f) << shift;
			if (byte < 0x80) return v;
		}
	};
	const millis = () => Number(uvarint());
	const text = () => utf8.decode(take(Number(uvarint())));
	if (has(4)) uvarint(), uvarint(); // the oldest load of those that follow, and how long this is kept
	const codec = text();
	const created = millis(), freshFor = millis(), took = millis();
	const windows = has(2) ? { refreshAfter: millis(), staleWhileRevalidate: millis(), staleIfError: millis() } : undefined;
	const epoch = take(8), seq = uvarint();
	const tags: string[] = [];
	for (let n = Number(uvarint()); n > 0; n--) tags.push(text());
	const payload = b.subarray(at, end);
	return [{ codec, payload, absent: has(1), expired: b[4] !== 0, schema, created, freshFor, took, windows, epoch, seq, tags }, b.subarray(end)];
}

function startsWith(b: Uint8Array, magic: number[]): boolean { return magic.every((x, i) => b[i] === x); }

// same reports whether a record is of the epoch.
function same(record: Uint8Array, epoch: Uint8Array): boolean { return record.length >= 8 && epoch.every((x, i) => record[i] === x); }

function number(digits: Uint8Array | null): bigint | null {
	return digits && digits.length > 0 && digits.every((x) => x >= 0x30 && x <= 0x39) ? BigInt(String.fromCharCode(...digits)) : null;
}

function crc32c(b: Uint8Array): number {
	let crc = 0xffffffff;
	for (const x of b) crc = table[(crc ^ x) & 0xff] ^ (crc >>> 8);
	return (crc ^ 0xffffffff) >>> 0;
}
