/* How a key is loaded and written: leases, generations, refreshes. It is checked for G1, the part of G3 that concerns one key, and G4.
 *
 * Two processes load one key and delete it, and another program writes it. README.md says which step is which code.
 */

#ifndef LOADS
#define LOADS 2    /* calls of each job */
#endif
#ifndef DELETES
#define DELETES 1  /* of each process */
#endif
#ifndef FOREIGN
#define FOREIGN 1  /* writes by another program */
#endif
#ifndef EXPIRIES
#define EXPIRIES 0 /* of leases, before the load has ended */
#endif
#ifndef REFRESHES
#define REFRESHES 0 /* of values, by the second job of each process */
#endif

#define JOBS 4 /* two of each process: a call that comes after a Delete doesn't join the load from before */
#define PROCESS(j) (j / 2)
#ifdef ONE_TOKEN
#define TOKEN(j) (1 + PROCESS(j))
#else
#define TOKEN(j) (1 + j)
#endif

mtype = { NOTHING, LEASE, VALUE };

/* Deletions are numbered as they are called. A value knows how many were called before its load began. */
byte called, returned;

/* Redis, under the key, and under the key of the secondary lease. */
mtype kind = NOTHING;
byte token;      /* of the lease */
byte birth;      /* of the value */
byte version;    /* of the value: no two are the same */
byte secondary;  /* the token; 0: none */

/* The processes. */
byte ownReturned[2];
bool kept[2];         /* the local tier has a value */
byte keptBirth[2];
bool overtaken[JOBS]; /* the key's generation has changed since the job took its reference */
bool loading[JOBS];   /* under a lease that nothing has ended */

inline disturb() { loading[0] = false; loading[1] = false; loading[2] = false; loading[3] = false }

inline overtake(p) { overtaken[2 * p] = true; overtaken[2 * p + 1] = true }

inline become(k, b) {
	kind = k;
	token = 0;
	birth = b;
#if REFRESHES
	if
	:: k == VALUE -> version++
	:: else
	fi
#endif
	skip
}

/* A value that was read or loaded enters the local tier, unless the key was written since. */
inline keep(p, j, b) {
	if
#ifdef NO_GENERATION
	:: true -> kept[p] = true; keptBirth[p] = b
#else
	:: !overtaken[j] -> kept[p] = true; keptBirth[p] = b
	:: else
#endif
	fi
}

inline beginLoad(j) {
	loaded = called;
	assert(!loading[0] && !loading[1] && !loading[2] && !loading[3]); /* G4 */
	loading[j] = true
}

/* A result replaces nothing but its own lease. */
#ifdef REPLACES_ANYTHING
#define STILL_MINE true
#else
#define STILL_MINE (kind == LEASE && token == TOKEN(j))
#endif

/* A call of GetOrLoad, with its job. */
proctype job(byte j) {
	byte n, must, mustOwn, loaded, got;
end:	do
	:: n < LOADS ->
		atomic { n++; must = returned; mustOwn = ownReturned[PROCESS(j)]; overtaken[j] = false };
		if
		:: atomic { kept[PROCESS(j)] -> assert(keptBirth[PROCESS(j)] >= mustOwn) } /* G3 */
		:: true -> /* the local tier has evicted it, or it wasn't valid any more */
again:			if
			:: atomic { kind == VALUE -> assert(birth >= must); got = birth }; /* G1 */
				atomic { keep(PROCESS(j), j, got); got = 0 }
#ifdef NO_LEASES
			:: atomic { kind != VALUE -> beginLoad(j) };
				atomic { become(VALUE, loaded); loading[j] = false };
				atomic { keep(PROCESS(j), j, loaded); loaded = 0 }
#else
			:: atomic { kind == NOTHING -> skip }; /* the reply says so, and then another may be first */
				if
				:: atomic { kind != NOTHING -> goto again }
				:: atomic { kind == NOTHING -> become(LEASE, 0); token = TOKEN(j); beginLoad(j) };
					if
					:: atomic { STILL_MINE -> become(VALUE, loaded); loading[j] = false };
						atomic { keep(PROCESS(j), j, loaded); loaded = 0 }
					:: atomic { !(STILL_MINE) -> loading[j] = false; loaded = 0 }
					fi
				fi
			/* else another's lease: it waits until the key changes */
#endif
			fi
		fi;
		must = 0; mustOwn = 0
	od
}

/* A load in the background of a value that is still there, under a secondary lease. It replaces nothing but what it saw. */
proctype refresher(byte j) {
	byte n, loaded, saw;
end:	do
	:: atomic { n < REFRESHES && kind == VALUE -> n++; saw = version; overtaken[j] = false };
		if
		:: atomic { secondary != 0 -> skip } /* another process does it */
		:: atomic { secondary == 0 -> secondary = TOKEN(j) };
			if
#ifdef REFRESH_WITHOUT_A_LOOK
			:: atomic { true ->
#else
			:: atomic { kind != VALUE || version != saw -> secondary = 0 } /* it was replaced meanwhile */
			:: atomic { kind == VALUE && version == saw ->
#endif
					assert(version == saw || kind != VALUE); /* what a refresh replaces isn't loaded once more */
					loaded = called };
				if
#ifdef REFRESH_REPLACES_ANYTHING
				:: atomic { true ->
#else
				:: atomic { kind != VALUE || version != saw -> skip }
				:: atomic { kind == VALUE && version == saw ->
#endif
						become(VALUE, loaded) };
					atomic { keep(PROCESS(j), j, loaded) }
				fi;
				atomic { secondary = (secondary == TOKEN(j) -> 0 : secondary); loaded = 0 }
			fi
		fi;
		saw = 0
	od
}

/* Delete: Redis, then the generation, then the local tier. */
proctype deleter(byte p) {
	byte n, number;
end:	do
	:: n < DELETES ->
		atomic { n++; called++; number = called; overtake(p) };
#ifdef LOCAL_BEFORE_REDIS
		atomic { kept[p] = false };
#endif
		atomic { become(NOTHING, 0); disturb() };
#if !defined(LOCAL_BEFORE_REDIS) && !defined(LOCAL_NOT_CHANGED)
		atomic { overtake(p); kept[p] = false };
#endif
		atomic {
			if
			:: number > returned -> returned = number
			:: else
			fi;
			if
			:: number > ownReturned[p] -> ownReturned[p] = number
			:: else
			fi;
			number = 0
		}
	od
}

/* redis-cli, an eviction, and the end of a lease. */
proctype others() {
	byte writes, expiries;
end:	do
	:: atomic { writes < FOREIGN -> writes++; called++; returned = called; become(NOTHING, 0); disturb() }
	:: atomic { writes < FOREIGN -> writes++; called++; returned = called; become(VALUE, called); disturb() }
	:: atomic { expiries < EXPIRIES && kind == LEASE -> expiries++; become(NOTHING, 0); disturb() }
	od
}

init {
	atomic {
		run job(0); run job(2);
#if REFRESHES
		run refresher(1); run refresher(3);
#else
		run job(1);
#endif
		run deleter(0);
#ifdef BOTH_DELETE
		run deleter(1);
#endif
		run others()
	}
}
