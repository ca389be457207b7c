/* Tracking by key: Redis reports a key once, to the connections that have read it since its last report. It is checked for G2 as an order of
 * events, and for the part of G3 that concerns one key or tag: what a hit returns was current at some moment of the last DELTA ticks, and
 * isn't older than a write of this process that Redis has acknowledged.
 *
 * One process keeps the value of a key, and a copy of a tag's record; another program writes both. README.md says which step is which code.
 */

#ifndef TICKS
#define TICKS 3      /* heartbeats */
#endif
#ifndef WRITES
#define WRITES 2     /* by another program */
#endif
#ifndef READS
#define READS 1      /* of the key */
#endif
#ifndef RECORDS
#define RECORDS 0    /* reads of the record */
#endif
#ifndef STORES
#define STORES 0     /* of the key by the process itself */
#endif
#ifndef TAGGED
#define TAGGED 0     /* invalidations of the tag by the process itself */
#endif
#ifndef WAITS
#define WAITS 0      /* for another process's lease */
#endif
#ifndef LOSSES
#define LOSSES 0     /* of the stream's connection */
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef SWAPS
#define SWAPS 0      /* of databases: Redis reports nothing */
#endif
#ifndef MOVES
#define MOVES 0      /* the client uses another server; the stream's goes on answering */
#endif
#ifndef FOLLOWS
#define FOLLOWS 0    /* 1: and is a replica of the other one */
#endif
#ifndef EVICTIONS
#define EVICTIONS 0  /* from Redis's table of the keys that connections have read */
#endif
#ifndef REPEATS
#define REPEATS 0    /* of a canary, by the client, which had no answer */
#endif

#ifndef DELTA
#define DELTA 2      /* Heartbeat + Timeout, in ticks */
#endif
#define CURRENT 15   /* the value is still Redis's; else the tick in which it was replaced */
#define DEAD 2       /* a validity that has ended, and holds never again */
#define NONE 0

#include "bykey_redis.pml"

/* The process. */
bool connected;
byte validity = DEAD;    /* the current one: 0, 1 or DEAD */
byte until[3];           /* it holds before this tick; 0: not yet, or DEAD */
byte epoch;              /* that of the last mark on this connection; NONE: there was none */
bool flushing;

byte markedAt;           /* the newest canary that Redis is known to have taken */
byte underWay;           /* bit n: canary n may still be executed */

typedef Value { byte value; byte validity };
Value item, copy;        /* in the local tier: the key's value, and the record */
typedef Unconfirmed { byte value; bool overtaken };
Unconfirmed got, made;   /* by a read, by a store. Overtaken: the process has written the key since */

bool tracked;            /* the record is: it was read over the stream's connection, and not reported since */
bool awaited;            /* the reply to that is */
bool changed;            /* the record was reported, or written by this process, since the read under way began */
Value seen;              /* by that read */

byte lease;              /* of another process, which a caller has seen */
bool waits, asleep;      /* until it is replaced; its GETRANGE was sent */

#ifdef REPLY_IS_NOT_COMPARED
#define SAME(v, n) true
#else
#define SAME(v, n) (v.value == n)
#endif
#ifdef NO_GENERATION
#define OVERTAKEN(v) false
#else
#define OVERTAKEN(v) v.overtaken
#endif
#ifdef EPOCH_NOT_KEPT
#define OTHER_EPOCH(n) (EPOCH(n) != NONE)
#elif defined(EPOCH_UNNOTICED)
#define OTHER_EPOCH(n) false
#elif defined(FIRST_MARK_IS_BELIEVED)
#define OTHER_EPOCH(n) (epoch != NONE && EPOCH(n) != epoch)
#else
#define OTHER_EPOCH(n) (EPOCH(n) != epoch)
#endif

inline clear(v) { v.value = NONE; v.validity = DEAD }

#define DUE (underWay & ~tooLate)

/* The heartbeat: the clock, and a canary in each tick. It names the instant before it is sent, and is executed at some time, or never. */
proctype heartbeat() {
	byte n, repeats;
end:	do
	:: atomic { clock < TICKS -> clock++; expected[clock] = (markedAt -> markedAt : clock); underWay = underWay | (1 << clock);
#ifndef CANARY_IN_ANY_TURN
			if
			:: dueKey || dueRecord || dueMark -> tooLate = tooLate | (1 << clock)
			:: else
			fi
#endif
		}
	:: atomic { DUE -> n = 1;
			do
			:: DUE >> (n + 1) -> n++
			:: DUE & (1 << n) -> break
			od;
			execute(n);
			if
			:: repeats < REPEATS -> repeats++
			:: true -> underWay = underWay & ~(1 << n); expected[n] = 0
			fi;
			if
			:: markedAt < n -> markedAt = n /* its answer */
			:: true
			fi;
			n = 0 }
	od
}

/* What was read under the validity is never served again. Another one may then have its number. */
inline endValidity(v) {
	if
	:: item.validity == v -> clear(item)
	:: else
	fi;
	if
	:: copy.validity == v -> clear(copy)
	:: else
	fi;
	if
	:: seen.validity == v -> seen.validity = DEAD
	:: else
	fi;
	until[v] = 0
}

/* First the record isn't known to be tracked any more, then the new validity is installed, and then the old one is ended. */
inline flushed() {
	if
	:: validity != DEAD ->
#ifndef FLUSH_KEEPS_TRACKED
		atomic { tracked = false };
#endif
		atomic { until[1 - validity] = until[validity]; validity = 1 - validity; waits = false };
		atomic { endValidity(1 - validity) }
	:: else
	fi
}

/* What is unconfirmed enters the local tier, if Redis has it. */
inline confirm(v, n) {
	if
	:: v.value != NONE && SAME(v, n) && !OVERTAKEN(v) && validity != DEAD -> item.value = v.value; item.validity = validity
	:: else
	fi;
	v.value = NONE; n = 0
}

inline extend(n) {
	epoch = EPOCH(n); n = INSTANT(n);
	if
	:: n > markedAt -> markedAt = n
	:: else
	fi;
	if
	:: validity != DEAD && n + DELTA > until[validity] -> until[validity] = n + DELTA
	:: else
	fi;
	n = 0
}

/* It was noticed that the connection broke, at some time after it did. */
inline disconnected() {
	broken = false; connected = false; epoch = NONE; got.value = NONE; made.value = NONE; awaited = false; waits = false;
#ifndef CONNECTION_KEEPS_TRACKED
	tracked = false;
#endif
#ifndef CONNECTION_KEEPS_VALIDITY
	if
	:: validity != DEAD -> endValidity(validity); validity = DEAD
	:: else
	fi
#endif
}

/* The goroutine that reads the stream's connection, and makes the next one, perhaps to the client's server of then. */
proctype connection() {
	byte n;
end:	do
	:: atomic { !connected && !tracking && !broken -> tracking = true; markedAt = 0; stream!CONFIRMED(0); asksForMark = true;
			if
			:: elsewhere -> elsewhere = false; itsKey = 0; itsRecord = 0; itsMark = 0;
#if FOLLOWS
				do
				:: replication?_, _
				:: empty(replication) -> break
				od
#endif
			:: true
			fi }
	:: atomic { broken -> disconnected() }
	:: atomic { stream?CONFIRMED(_) -> connected = true; validity = (validity == DEAD -> 0 : validity) }
	:: atomic { stream?KEY(_) -> clear(item); waits = false }
	:: stream?RECORD(_) ->
#ifdef COUNTED_BEFORE_UNTRACKED
		atomic { changed = true; clear(copy) };
		atomic { tracked = false }
#else
#ifndef REPORT_KEEPS_TRACKED
		atomic { tracked = false };
#endif
		atomic { changed = true; clear(copy) }
#endif
	:: atomic { stream?MARK(_) -> asksForMark = tracking }
	:: atomic { stream?ALL(_) -> flushing = true };
#ifndef FLUSH_UNNOTICED
		flushed();
#endif
		atomic { flushing = false;
#ifndef MARK_NOT_READ_AFTER_FLUSH
			asksForMark = tracking
#endif
		}
	:: atomic { stream?FOR_READ(n) -> confirm(got, n) }
	:: atomic { stream?FOR_STORE(n) -> confirm(made, n) }
	:: atomic { stream?FOR_WAIT(n) -> waits = (waits && n == lease); n = 0 }
	:: atomic { stream?FOR_RECORD(_) -> tracked = true; awaited = false }
	:: stream?FOR_MARK(n) ->
		if
		:: n != 0 && OTHER_EPOCH(n) -> flushed(); atomic { extend(n) }
		:: n != 0 && !OTHER_EPOCH(n) -> atomic { extend(n) }
		:: n == 0
		fi
	od
}

/* A read of the key by the caches' client, which isn't tracked; then what was read is confirmed over the stream's connection. */
proctype reader() {
	byte reads;
end:	do
	:: atomic { reads < READS && got.value == NONE -> reads++; got.overtaken = false };
#ifdef PUT_WITHOUT_TRACKING
		atomic { item.value = key[db]; item.validity = validity }
#else
		atomic { got.value = key[db] };
		atomic {
			if
			:: connected -> asksForRead = !broken
			:: else -> got.value = NONE
			fi }
#endif
	od
}

/* A store: Redis, then the local tier; then what was stored is confirmed. The next one doesn't wait for that. */
proctype storer() {
	byte stores, stored;
	bit into;
end:	do
	:: atomic { stores < STORES -> stores++; got.overtaken = true; made.overtaken = true };
		atomic { write(key[db], tracksKey, dueKey, KEY); stored = key[db]; into = db };
		atomic { got.overtaken = true; made.overtaken = true;
#ifndef LOCAL_NOT_CHANGED
			clear(item);
#endif
			acknowledged = (into == db -> stored : acknowledged);
			if
			:: connected && made.value == NONE -> made.value = stored; made.overtaken = false; asksForStore = !broken
			:: else
			fi;
			stored = 0; into = 0 }
	od
}

/* An invalidation of the tag: Redis, then the copy. */
proctype invalidator() {
	byte n, stored;
	bit into;
end:	do
	:: atomic { n < TAGGED -> n++; write(record[db], tracksRecord, dueRecord, RECORD); stored = record[db]; into = db };
		atomic { changed = true; clear(copy); acknowledgedRecord = (into == db -> stored : acknowledgedRecord); stored = 0; into = 0 }
	od
}

/* A read of the record by the caches' client. It is tracked first, unless it is known to be. */
proctype recordReader() {
	byte reads;
end:	do
	:: reads < RECORDS -> reads++;
#ifndef TRACKED_BEFORE_COUNTED
		atomic { changed = false };
		atomic { seen.validity = validity };
#endif
#ifdef READ_BEFORE_TRACKED
		atomic { seen.value = record[db] };
#endif
		if
		:: tracked
		:: atomic { !tracked && connected -> asksForRecord = !broken; awaited = true }; !awaited
		:: atomic { !tracked && !connected -> seen.validity = DEAD }
		fi;
#ifdef TRACKED_BEFORE_COUNTED
		atomic { changed = false };
		atomic { seen.validity = validity };
#endif
#ifndef READ_BEFORE_TRACKED
		atomic { seen.value = record[db] };
#endif
		atomic { /* the reply arrives */
#ifdef VALIDITY_TAKEN_LAST
			seen.validity = validity;
#endif
			if
			:: !changed && seen.validity != DEAD -> copy.value = seen.value; copy.validity = seen.validity
			:: else
			fi;
			clear(seen); changed = false }
	od
}

/* A caller that has read another process's lease, and waits until it is replaced. */
proctype waiter() {
	byte n;
end:	do
	:: atomic { n < WAITS -> n++; lease = key[db]; waits = true };
		if
		:: atomic { connected -> asksForWait = !broken; asleep = true }
		:: atomic { !connected -> waits = false } /* it polls */
		fi;
end1:		atomic { !waits -> asleep = false; lease = 0 }
	od
}

#define HOLDS(v) (v.value != NONE && clock < until[v.validity])
#define OLD(v) (over[v.value] + DELTA <= clock)
#define FLUSH_COMES (flushing || stream??[ALL(0)])
#define MARK_COMES (tracksMark || asksForMark || dueMark || stream??[MARK(0)] || FLUSH_COMES)
#define KEY_COMES (asksForWait || dueKey || stream??[KEY(0)] || stream??[FOR_WAIT, eval(key[db])] || FLUSH_COMES)

/* At any time. */
proctype hits() {
end:	do
	:: atomic { HOLDS(item) && OLD(item) -> assert(false) } /* G2 */
	:: atomic { HOLDS(copy) && OLD(copy) -> assert(false) }
	:: atomic { HOLDS(item) && item.value < acknowledged -> assert(false) } /* G3 */
	:: atomic { HOLDS(copy) && copy.value < acknowledgedRecord -> assert(false) }
	:: atomic { connected && !broken && !MARK_COMES -> assert(false) } /* the next canary is heard, */
	:: atomic { waits && asleep && lease != key[db] && !broken && !elsewhere && SWAPS == 0 && !KEY_COMES -> assert(false) } /* and a lease's end */
	od
}

init {
	atomic {
		key[0] = 2; record[0] = 3; over[2] = CURRENT; over[3] = CURRENT; key[1] = 4; record[1] = 5;
		clear(item); clear(copy); clear(seen);
		run server(); run others(); run heartbeat(); run connection(); run hits();
#if READS
		run reader();
#endif
#if STORES
		run storer();
#endif
#if RECORDS
		run recordReader(); run invalidator();
#endif
#if WAITS
		run waiter();
#endif
		skip
	}
}
