/* How tags invalidate: the count of invalidations, the record of a tag, the epoch. It is checked for G1 and G3 of InvalidateTags, ExpireTags
 * and Clear, where Redis may lose a record, the count or the epoch in between.
 *
 * Two processes store a value each, under keys of their own and with the same tag. README.md says which step is which code.
 */

#ifndef LOADS
#define LOADS 1         /* of each process */
#endif
#ifndef READS
#define READS 1         /* of each value */
#endif
#ifndef INVALIDATIONS
#define INVALIDATIONS 1 /* by tag */
#endif
#ifndef EXPIRIES
#define EXPIRIES 0      /* by tag */
#endif
#ifndef CLEARS
#define CLEARS 0
#endif
#ifndef LOSSES
#define LOSSES 1        /* of a key in Redis */
#endif

/* Calls of InvalidateTags, ExpireTags and Clear are numbered. A value knows how many there were before its load began. */
byte called;
byte invalidated;  /* the newest invalidation that has returned */
byte expired;      /* the newest expiry that has */

/* Redis. */
byte epoch = 1;    /* 0: lost */
byte epochs = 1;   /* no two are the same */
byte count = 1;    /* 0: lost; a new one is 1 */
bool record;       /* the tag has one, */
bool counted;      /* with a count; else it has a token, */
byte token;        /* of the process that made it */
byte recordEpoch, recordSeq, recordExpiry;

typedef Stored { bool there; byte birth; byte epoch; byte seq };
Stored value[2];

/* What a process remembers of the position: an older one only invalidates more. */
byte knownEpoch[2], knownSeq[2]; /* 0: nothing */

/* openScript: if either is lost, both are made again. */
inline open() {
	if
	:: epoch == 0 || count == 0 -> epochs++; epoch = epochs; count = 1
	:: else
	fi
}

inline takePosition(p) {
	if
	:: atomic { knownEpoch[p] != 0 -> atEpoch = knownEpoch[p]; atSeq = knownSeq[p] }
	:: atomic { open(); atEpoch = epoch; atSeq = count; knownEpoch[p] = epoch; knownSeq[p] = count }
	fi
}

/* Register: a missing record is made with a token, then the count is read, and replaces the token. */
inline register(p) {
#ifdef COUNT_BEFORE_RECORD
	atomic { open(); sawEpoch = epoch; sawCount = count };
#endif
	atomic {
		if
		:: !record -> record = true; counted = false; token = 1 + p
		:: else
		fi
	};
#ifndef COUNT_BEFORE_RECORD
	atomic { open(); sawEpoch = epoch; sawCount = count };
#endif
	atomic {
		if
		:: record && !counted && token == 1 + p -> counted = true; recordEpoch = sawEpoch; recordSeq = sawCount; recordExpiry = 0; token = 0
		:: else
		fi
	}
}

/* A load, and its store. */
proctype loader(byte p) {
	byte n, birth, atEpoch, atSeq, sawEpoch, sawCount;
end:	do
	:: n < LOADS -> n++;
#ifndef POSITION_AT_THE_END
		takePosition(p);
#endif
		birth = called;
		/* the source is asked */
#ifdef POSITION_AT_THE_END
		takePosition(p);
#endif
		register(p);
		atomic { value[p].there = true; value[p].birth = birth; value[p].epoch = atEpoch; value[p].seq = atSeq };
		atomic { birth = 0; atEpoch = 0; atSeq = 0; sawEpoch = 0; sawCount = 0 }
	od
}

#ifdef EXPIRIES_ARE_IGNORED
#define FRESH true
#else
#define FRESH (atSeq >= recordExpiry)
#endif

/* A read of a value from Redis, by a process that has just written, or knows nothing: the value, the epoch, the tag's record. */
proctype reader(byte v) {
	byte n, must, mustFresh, birth, atEpoch, atSeq;
end:	do
	:: n < READS ->
		atomic { n++; must = invalidated; mustFresh = expired };
		if
		:: atomic { value[v].there -> birth = value[v].birth; atEpoch = value[v].epoch; atSeq = value[v].seq };
			if
			:: atomic { atEpoch == epoch && epoch != 0 -> skip };
				if
#ifdef NO_RECORD_IS_VALID
				:: atomic { !record -> assert(birth >= must) }
#endif
				:: atomic { record && counted && recordEpoch == atEpoch && atSeq >= recordSeq ->
						assert(birth >= must);
						assert(!FRESH || birth >= mustFresh) }
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		must = 0; mustFresh = 0; birth = 0; atEpoch = 0; atSeq = 0
	od
}

/* InvalidateTags and ExpireTags increment the count, and then raise the record, if there is one. Clear begins another epoch. */
proctype invalidator(byte p) {
	byte n, x, c, number, reached;
end:	do
	:: n < INVALIDATIONS ->
		atomic { n++; called++; number = called };
		atomic { open(); count++; reached = count };
		atomic {
			if
			:: record && reached > recordSeq -> counted = true; token = 0; recordEpoch = epoch; recordSeq = reached; recordExpiry = 0
			:: else
			fi };
		atomic { knownEpoch[p] = 0; knownSeq[p] = 0 };
		atomic { invalidated = (number > invalidated -> number : invalidated); number = 0; reached = 0 }
	:: x < EXPIRIES ->
		atomic { x++; called++; number = called };
		atomic { open(); count++; reached = count };
		atomic {
			if
			:: record && counted && reached > recordExpiry -> recordExpiry = reached
			:: record && !counted -> counted = true; token = 0; recordEpoch = epoch; recordSeq = reached; recordExpiry = 0
			:: else
			fi };
		atomic { knownEpoch[p] = 0; knownSeq[p] = 0 };
		atomic { expired = (number > expired -> number : expired); number = 0; reached = 0 }
	:: c < CLEARS ->
		atomic { c++; called++; number = called };
#ifndef CLEAR_KEEPS_THE_EPOCH
		atomic { epochs++; epoch = epochs };
#endif
		atomic { knownEpoch[p] = 0; knownSeq[p] = 0 };
		atomic { invalidated = (number > invalidated -> number : invalidated); number = 0 }
	od
}

/* An eviction, or a failover. */
proctype loss() {
	byte n;
end:	do
	:: atomic { n < LOSSES && record -> n++; record = false; counted = false; token = 0; recordEpoch = 0; recordSeq = 0; recordExpiry = 0 }
	:: atomic { n < LOSSES && epoch != 0 -> n++; epoch = 0 }
	:: atomic { n < LOSSES && count != 0 -> n++; count = 0 }
	od
}

init {
	atomic { run loader(0); run loader(1); run reader(0); run invalidator(0); run loss() }
}
