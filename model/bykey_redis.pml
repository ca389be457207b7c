/* Redis, and what other programs do with it, for bykey.pml. */

byte clock;

/* The server of the caches' client. No two values, of the key or of the record, are the same. */
byte key[2], record[2];  /* in both databases */
byte mark[2];            /* the instant of the newest canary, and the epoch */
bit db;                  /* the client's database */
byte values = 6;         /* so far */
byte over[6 + WRITES + STORES + TAGGED + 2 * FLUSHES]; /* of each value: CURRENT, or when it was replaced */
byte expected[8];        /* by canary n: the mark of the one before it */
byte epochs;             /* no two executions of a canary begin the same */
byte acknowledged, acknowledgedRecord; /* the newest values of the process itself of which that is known to it */
bool markLost;           /* a flush or a swap has */

#define MARK_OF(n, e) ((n) + 8 * (e))
#define INSTANT(m) ((m) & 7)
#define EPOCH(m) ((m) >> 3)

/* The stream's server: the same one, until the client uses another. It sends a report at once or, with TURNS, when the turn of its event
 * loop ends, as it does in broadcast mode. */
bool elsewhere;          /* the client's isn't this one any more */
byte itsKey, itsRecord, itsMark;
bool tracking;           /* the stream's connection is known to it, */
bool tracksKey, tracksRecord, tracksMark; /* and has read it since its last report */
bool broken;             /* the connection is; the process hasn't noticed */
bool dueKey, dueRecord, dueMark; /* in this turn */
byte tooLate;            /* bit n: this turn began before canary n was sent, so it doesn't execute that */
bool asksForRead, asksForStore, asksForWait, asksForRecord, asksForMark; /* GETRANGE is under way */

mtype = { CONFIRMED, KEY, RECORD, MARK, ALL, FOR_READ, FOR_STORE, FOR_WAIT, FOR_RECORD, FOR_MARK };
chan stream = [10] of { mtype, byte };
#if FOLLOWS
chan replication = [10] of { mtype, byte };
#define REPLICATED(what, n) replication!what(n)
#else
#define REPLICATED(what, n) skip
#endif

/* Mutations. */
#ifdef OLD_CANARY_OVERWRITES
#define NEWER(n) true
#else
#define NEWER(n) (INSTANT(mark[db]) <= n)
#endif
#ifdef EPOCH_IS_THE_INSTANT
#define NEW_EPOCH(n) n
#else
#define NEW_EPOCH(n) epochs
#endif
#ifdef EPOCH_NOT_KEPT /* the loss of a mark is noted until the next canary */
#define KEPT_EPOCH NONE
#else
#define KEPT_EPOCH EPOCH(mark[db])
#endif

#ifdef TURNS
#define REPORT(what, due) due = true
#else
#define REPORT(what, due) stream!what(0)
#endif
inline reportOnce(tracks, due, what) {
	if
	:: tracks -> tracks = false; REPORT(what, due)
	:: else
	fi
}

inline emptyTable() { tracksKey = false; tracksRecord = false; tracksMark = false }

inline reportAll() {
	emptyTable();
	if
	:: tracking -> stream!ALL(0)
	:: else
	fi
}

inline replace(held) { over[held] = clock; held = values; over[values] = CURRENT; values++ }

inline write(held, tracks, due, what) {
	replace(held);
	if
	:: !elsewhere -> reportOnce(tracks, due, what)
	:: else -> REPLICATED(what, held)
	fi
}

/* The stream's server. */
#define ITS(what, old) (elsewhere -> old : what[db])
proctype server() {
	byte evictions;
end:	do
	:: atomic { asksForRead -> asksForRead = false; tracksKey = true; stream!FOR_READ(ITS(key, itsKey)) }
	:: atomic { asksForStore -> asksForStore = false; tracksKey = true; stream!FOR_STORE(ITS(key, itsKey)) }
	:: atomic { asksForWait -> asksForWait = false; tracksKey = true; stream!FOR_WAIT(ITS(key, itsKey)) }
	:: atomic { asksForRecord -> asksForRecord = false; tracksRecord = true; stream!FOR_RECORD(0) }
	:: atomic { asksForMark -> asksForMark = false; tracksMark = true; stream!FOR_MARK(ITS(mark, itsMark)) }
	:: atomic { evictions < EVICTIONS && tracksKey -> evictions++; reportOnce(tracksKey, dueKey, KEY) }
	:: atomic { evictions < EVICTIONS && tracksRecord -> evictions++; reportOnce(tracksRecord, dueRecord, RECORD) }
	:: atomic { evictions < EVICTIONS && tracksMark -> evictions++; reportOnce(tracksMark, dueMark, MARK) }
#ifdef TURNS
	:: atomic { dueKey || dueRecord || dueMark ->
			do
			:: dueKey -> dueKey = false; stream!KEY(0)
			:: dueRecord -> dueRecord = false; stream!RECORD(0)
			:: dueMark -> dueMark = false; stream!MARK(0)
			:: else -> break
			od;
			tooLate = 0 }
#endif
#if FOLLOWS
	:: atomic { replication?KEY(itsKey) -> reportOnce(tracksKey, dueKey, KEY) }
	:: atomic { replication?RECORD(itsRecord) -> reportOnce(tracksRecord, dueRecord, RECORD) }
	:: atomic { replication?MARK(itsMark) -> reportOnce(tracksMark, dueMark, MARK) }
	:: atomic { replication?ALL(_) -> itsMark = 0; reportAll() }
#endif
	od
}

/* Another program writes, flushes, swaps databases, and has clients use another server. */
proctype others() {
	byte writes, flushes, swaps, moves, losses;
end:	do
#if READS || STORES || WAITS
	:: atomic { writes < WRITES -> writes++; write(key[db], tracksKey, dueKey, KEY) }
#endif
#if RECORDS
	:: atomic { writes < WRITES -> writes++; write(record[db], tracksRecord, dueRecord, RECORD) }
#endif
#if FLUSHES
	:: atomic { flushes < FLUSHES -> flushes++; replace(key[db]); replace(record[db]); mark[db] = 0; markLost = true;
			if
			:: !elsewhere -> reportAll()
			:: else -> REPLICATED(ALL, 0); REPLICATED(KEY, key[db]); REPLICATED(RECORD, record[db])
			fi }
#endif
	:: atomic { swaps < SWAPS && !elsewhere -> swaps++; over[key[db]] = clock; over[record[db]] = clock;
			db = 1 - db;
			over[key[db]] = CURRENT; over[record[db]] = CURRENT; mark[db] = 0; markLost = true; acknowledged = 0; acknowledgedRecord = 0 }
	:: atomic { moves < MOVES && !elsewhere -> moves++; elsewhere = true; itsKey = key[db]; itsRecord = record[db]; itsMark = mark[db] }
	:: atomic { losses < LOSSES && tracking -> losses++; tracking = false; broken = true; emptyTable();
			dueKey = false; dueRecord = false; dueMark = false; tooLate = 0;
			asksForRead = false; asksForStore = false; asksForWait = false; asksForRecord = false; asksForMark = false;
			do
			:: stream?_, _
			:: empty(stream) -> break
			od }
	od
}

/* The canary's script. The first on a connection finds no mark that is new enough; one that comes after a newer one does nothing. */
inline execute(n) {
	if
	:: NEWER(n) ->
		if
		:: mark[db] == 0 || INSTANT(mark[db]) < expected[n] ->
			assert(markLost || expected[n] == n); /* an epoch ends for no other reason */
			epochs++; mark[db] = MARK_OF(n, NEW_EPOCH(n))
		:: else -> mark[db] = MARK_OF(n, KEPT_EPOCH)
		fi;
		if
		:: !elsewhere -> reportOnce(tracksMark, dueMark, MARK)
		:: else -> REPLICATED(MARK, mark[db])
		fi
	:: else
	fi
}
