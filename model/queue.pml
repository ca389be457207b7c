/* What happens to a write that Redis didn't take, or didn't answer: the queue, its replay, and the order of a key's writes. It is checked for
 * G3 in the process, and for G1 from the replay on.
 *
 * One process deletes and reads a key while Redis fails, and another one loads it. README.md says which step is which code.
 */

#ifndef WRITES
#define WRITES 2   /* deletions and Sets of the process */
#endif
#ifndef READS
#define READS 2
#endif
#ifndef FAILURES
#define FAILURES 2 /* calls that Redis doesn't answer */
#endif
#ifndef LOADS
#define LOADS 1    /* of the other process */
#endif

mtype = { NOTHING, LEASE, VALUE };

/* Writes are numbered as they are called. A value knows how many were called before it was made. */
byte called, returned; /* of the process: returned with or without an error of Redis */
byte certain;          /* the newest write that Redis is known to have */

/* Redis. */
mtype kind = VALUE;
byte birth;

/* The process. */
bool locked;           /* the key's write lock */
bool overtaken;        /* the generation has changed since the reader took its reference */
bool kept;
byte keptBirth;
byte queued;           /* the number of the queued write; 0: none */
bool underWay;         /* a call that nobody waits for any more may still reach Redis */
bool underWaySets;
byte underWayBirth;

#define HIDDEN (queued != 0)

inline become(k, b) { kind = k; birth = b }

inline endWrite(keeps, b) {
	overtaken = true;
	kept = keeps;
	keptBirth = b
}

/* Delete and Set, one after the other, as callers of one goroutine make them. */
proctype writer() {
	byte n, number, failures;
	bool sets, failed;
end:	do
	:: atomic { n < WRITES && !locked -> n++; locked = true; called++; number = called; overtaken = true;
			if
			:: sets = true
			:: sets = false
			fi };
		if
		:: atomic { true -> /* Redis takes it, and answers */
				if
				:: sets -> become(VALUE, number)
				:: else -> become(NOTHING, 0)
				fi;
				certain = number; failed = false }
		:: atomic { failures < FAILURES -> /* no answer: it may arrive, now or later, or never */
				failures++; failed = true; underWay = true; underWaySets = sets; underWayBirth = number }
		fi;
		if
		:: atomic { failed ->
#ifdef FORGOTTEN_BEFORE_IT_IS_QUEUED
				endWrite(false, 0) };
			atomic { queued = number };
#else
				queued = number };
			atomic { endWrite(false, 0) };
#endif
#ifdef LOCK_ENDS_WITH_THE_CALLER
			atomic { locked = false }
#else
			skip /* the call has the lock until it is over */
#endif
		:: atomic { !failed ->
				if
				:: sets -> endWrite(true, number)
				:: else -> endWrite(false, 0)
				fi };
			atomic { queued = 0; /* what was queued for the key before this write began */ locked = false }
		fi;
		atomic { returned = number; number = 0; sets = false; failed = false }
	od
}

/* A call that was not answered in time arrives, or doesn't. */
proctype network() {
end:	do
	:: atomic { underWay ->
			if
			:: underWaySets -> become(VALUE, underWayBirth)
			:: !underWaySets -> become(NOTHING, 0)
			:: true -> skip
			fi;
			underWay = false; underWaySets = false; underWayBirth = 0;
#ifndef LOCK_ENDS_WITH_THE_CALLER
			locked = false
#endif
		}
	od
}

/* The replayer looks at the key, and changes only what it has seen. */
proctype replayer() {
	byte number, saw;
	mtype sawKind;
end:	do
	:: atomic { queued != 0 && !locked -> locked = true; number = queued };
#ifdef TAKEN_OFF_BEFORE_THE_REPLAY
		atomic { queued = 0 };
#endif
		atomic { sawKind = kind; saw = birth };
		if
		:: atomic { kind == sawKind && birth == saw -> become(NOTHING, 0); certain = (number > certain -> number : certain) };
			atomic { overtaken = true; kept = false };
			atomic { queued = (queued == number -> 0 : queued) }
		:: atomic { !(kind == sawKind && birth == saw) -> skip } /* once more */
		fi;
		atomic { locked = false; number = 0; saw = 0; sawKind = 0 }
	od
}

/* A read in the process. */
proctype reader() {
	byte n, must, got;
end:	do
	:: n < READS ->
		atomic { n++; must = returned; overtaken = false };
		if
		:: atomic { kept -> assert(keptBirth >= must) }
		:: atomic { !kept -> skip };
			if
			:: atomic { HIDDEN -> skip } /* it loads for itself */
			:: atomic { !HIDDEN -> skip };
				atomic { got = (kind == VALUE -> 1 + birth : 0) };
				if
				:: atomic { got != 0 && !HIDDEN ->
						assert(got - 1 >= must);
						if
						:: !overtaken -> kept = true; keptBirth = got - 1
						:: else
						fi }
				:: atomic { got == 0 || HIDDEN -> skip }
				fi
			fi
		fi;
		atomic { must = 0; got = 0 }
	od
}

/* The other process loads, under a lease, and reads what Redis has. */
proctype other() {
	byte n, loaded;
end:	do
	:: atomic { n < LOADS && kind == NOTHING -> n++; become(LEASE, 0); loaded = called };
		atomic {
			if
			:: kind == LEASE -> become(VALUE, loaded)
			:: else
			fi;
			loaded = 0 }
	:: atomic { kind == VALUE && birth < certain -> assert(false) } /* G1 */
	od
}

init {
	atomic { run writer(); run network(); run replayer(); run reader(); run other() }
}
