/* How a process hears of changes: tracking, canaries, lost connections, flushes, swapped databases. It is checked for G2 as an order of
 * events: a hit of the local tier returns a value that Redis had at some moment of the last DELTA ticks.
 *
 * One process reads one key; another program writes it. README.md says which step is which code.
 */

#ifndef TICKS
#define TICKS 4   /* heartbeats */
#endif
#ifndef WRITES
#define WRITES 2  /* by another program */
#endif
#ifndef READS
#define READS 2   /* of Redis */
#endif
#ifndef LOSSES
#define LOSSES 0  /* of the stream's connection */
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef SWAPS
#define SWAPS 0   /* of databases: Redis reports nothing */
#endif
#ifndef MOVES
#define MOVES 0   /* the client uses another server; the stream's goes on answering PINGs */
#endif
#ifndef STORES
#define STORES 0  /* by the process itself: its own report arrives like any other */
#endif
#ifndef LATE_NAMES
#define LATE_NAMES 0 /* 1: the key's cache is opened on a stream that is up, and its name's prefix is added then */
#endif

#define DELTA 2   /* Heartbeat + Timeout, in ticks */
#define CURRENT 15 /* the value is still Redis's; else the tick in which it was replaced */
#define DEAD 2    /* a validity that has ended, and holds never again */

byte clock;

/* Redis. What one turn of its event loop changes is reported when the turn ends, in any order. */
byte mark;                /* the newest canary that this database has seen */
bool tracking;            /* the stream's connection is known to the server */
bool heard = !LATE_NAMES; /* the connection hears of the key's prefix */
bool keyChanged;          /* in this turn */
byte canaries;            /* bit n: canary n was set in this turn */
byte lostCanaries;        /* bit n: it didn't find the mark of the one before */
bool oldTurn;             /* the turn, in which something was changed, began before the last canary was sent: it doesn't execute that */
bool elsewhere;           /* the client's server isn't the stream's any more */

mtype = { CONFIRMED, ADDED, CHANGED, CANARY, LOST, FLUSHED, PONG };
chan stream = [8] of { mtype, byte };

/* The process. */
bool broken;              /* its connection is; the stream hasn't noticed */
bool connected;
byte validity = DEAD;     /* the current one: 0, 1 or DEAD */
bool opened = !LATE_NAMES;  /* the cache is */
bool named = !LATE_NAMES;   /* Redis has confirmed that it hears of the prefix */
byte until[2];            /* it holds before this tick; 0: not yet */
byte markedAt;            /* the newest canary that Redis is known to have taken */

/* A value in memory: that of a read under way, that of a store under way, and that of the local tier. */
typedef Value { byte over; byte validity };
Value got, made, item;
bool kept;                /* the local tier has a value */
bool changed;             /* the key's change was reported since the read began, */
bool changedSinceStore;   /* since the store began */
bool awaited;             /* the report of the process's own store is still to come */

inline replaceValue() {
	if
	:: got.over == CURRENT -> got.over = clock
	:: else
	fi;
	if
	:: made.over == CURRENT -> made.over = clock
	:: else
	fi;
	if
	:: item.over == CURRENT -> item.over = clock
	:: else
	fi
}

inline clear(v) { v.over = 0; v.validity = DEAD }

/* What was read under the validity is never served again. Another one may then have its number. */
inline endValidity(v) {
	if
	:: got.validity == v -> got.validity = DEAD
	:: else
	fi;
	if
	:: made.validity == v -> made.validity = DEAD
	:: else
	fi;
	if
	:: item.validity == v -> clear(item); kept = false
	:: else
	fi;
	until[v] = 0
}

/* The server ends its turn: it sends what it has to report, in some order. */
proctype server() {
	byte n;
end:	do
	:: atomic { (keyChanged || canaries || lostCanaries) && (!tracking || elsewhere) -> keyChanged = false; canaries = 0; lostCanaries = 0; oldTurn = false }
	:: atomic { tracking && !elsewhere && (keyChanged || canaries || lostCanaries) ->
			do
			:: keyChanged && heard -> stream!CHANGED(0); keyChanged = false
			:: keyChanged && !heard -> keyChanged = false
			:: canaries || lostCanaries ->
				n = 1;
				do
				:: !(canaries & (1 << n)) && !(lostCanaries & (1 << n)) -> n++
				:: else -> break
				od;
				if
				:: canaries & (1 << n) -> stream!CANARY(n); canaries = canaries & ~(1 << n)
				:: else -> stream!LOST(n); lostCanaries = lostCanaries & ~(1 << n)
				fi;
				n = 0
			:: else -> break
			od;
			oldTurn = false
		}
	od
}

/* Another program writes, flushes, swaps databases, and has clients use another server. */
proctype others() {
	byte writes, flushes, swaps, moves, losses;
end:	do
	:: atomic { writes < WRITES -> writes++; replaceValue(); keyChanged = true }
	:: atomic { flushes < FLUSHES -> flushes++; replaceValue(); keyChanged = false; mark = 0;
			if
			:: tracking && !elsewhere -> stream!FLUSHED(0)
			:: else
			fi }
	:: atomic { swaps < SWAPS -> swaps++; replaceValue(); mark = 0 }
	:: atomic { moves < MOVES -> moves++; elsewhere = true }
	:: atomic { losses < LOSSES && tracking -> losses++; tracking = false; broken = true; heard = false;
			do
			:: stream?_, _
			:: empty(stream) -> break
			od }
	od
}

#ifdef FIRST_CANARY_IS_BELIEVED
#define EXPECTED markedAt
#else
#define EXPECTED (markedAt -> markedAt : t0) /* the first canary of a connection finds no mark that is new enough */
#endif

/* The heartbeat: the clock, and a canary in each tick. It names the instant before it is sent. */
proctype heartbeat() {
	byte t0, expected;
end:	do
	:: atomic { clock < TICKS -> clock++; t0 = clock; expected = EXPECTED; oldTurn = keyChanged || canaries || lostCanaries };
		if
		:: skip /* it is lost, or the process is slow */
#ifdef CANARY_IN_ANY_TURN
		:: atomic { true ->
#else
		:: atomic { !oldTurn -> /* the script */
#endif
#ifdef CANARY_NAMES_ITS_EXECUTION
			t0 = clock;
#endif
			if
			:: mark > t0 /* a newer one came first */
			:: mark <= t0 && mark < expected -> lostCanaries = lostCanaries | (1 << t0); mark = t0
			:: mark <= t0 && mark >= expected -> canaries = canaries | (1 << t0); mark = t0
			fi };
			if
			:: atomic { markedAt < t0 -> markedAt = t0 } /* its answer */
			:: skip
			fi
		fi;
#ifdef PONG_EXTENDS
		if
		:: atomic { connected && !broken -> stream!PONG(t0) }
		:: skip
		fi;
#endif
		t0 = 0; expected = 0
	od
}

/* The new validity is installed before the old one is ended. */
inline flushed() {
	if
	:: atomic { validity != DEAD -> until[1 - validity] = until[validity]; validity = 1 - validity };
		atomic { endValidity(1 - validity) }
	:: else
	fi
}

inline reported(n) {
	if
	:: n > markedAt -> markedAt = n
	:: else
	fi;
	if
#ifdef REPORT_EXTENDS_FROM_NOW
	:: validity != DEAD -> until[validity] = clock + DELTA
#else
	:: validity != DEAD && n + DELTA > until[validity] -> until[validity] = n + DELTA
#endif
	:: else
	fi;
	n = 0
}

/* The goroutine that reads the stream's connection, and makes the next one. */
proctype connection() {
	byte n;
end:	do
	/* connects: tracking is on before anything that is read is ever valid */
	:: atomic { !connected && !tracking && !broken -> tracking = true; markedAt = 0;
#ifdef RECONNECT_FORGETS_NAMES
			heard = !LATE_NAMES;
#else
			heard = opened;
#endif
			stream!CONFIRMED(0) }
#if LATE_NAMES
	:: atomic { !opened && connected && !broken -> opened = true; heard = true; stream!ADDED(0) }
	:: atomic { !opened && !connected -> opened = true } /* the next connection asks for it */
	:: atomic { stream?ADDED(_) -> named = true }
#endif
	:: atomic { broken -> /* noticed, at some time after it broke */
			broken = false;
#ifndef CONNECTION_KEEPS_VALIDITY
			if
			:: connected -> endValidity(validity); validity = DEAD
			:: else
			fi;
#endif
			connected = false }
	:: atomic { stream?CONFIRMED(_) -> connected = true;
#ifdef RECONNECT_FORGETS_NAMES
			named = opened;
#else
			named = heard;
#endif
			if
			:: validity == DEAD -> validity = 0
			:: else
			fi }
	:: atomic { stream?CHANGED(_) ->
			changed = true; changedSinceStore = (STORES > 0);
#ifdef OWN_REPORT_IS_TRUSTED
			if
			:: awaited -> awaited = false
			:: else -> kept = false; clear(item)
			fi
#else
			kept = false; clear(item)
#endif
		}
	:: atomic { stream?CANARY(n) -> reported(n) }
	:: stream?LOST(n) ->
#ifndef SWAP_UNNOTICED
		flushed();
#endif
		atomic { reported(n) }
	:: stream?FLUSHED(_) ->
#ifndef FLUSH_UNNOTICED
		flushed()
#endif
	:: atomic { stream?PONG(_) -> 
			if
			:: validity != DEAD -> until[validity] = clock + DELTA
			:: else
			fi }
	od
}

#ifdef NAME_IS_VALID_AT_ONCE
#define VALIDITY (opened -> validity : DEAD)
#else
#define VALIDITY (named -> validity : DEAD)
#endif

#ifdef OWN_REPORT_IS_TRUSTED
#define TRUSTED true
#else
#define TRUSTED false
#endif

#if STORES
/* A store by the process: the same as a read, but that Redis gets a new value. Its report ends the local copy, and the key is read again in
 * the background, as by reader. */
proctype storer() {
	byte stores;
end:	do
	:: stores < STORES ->
		atomic { stores++; made.validity = VALIDITY; changedSinceStore = false };
		atomic { replaceValue(); keyChanged = true; made.over = CURRENT; awaited = true };
		atomic { /* the reply arrives */
			if
			:: (!changedSinceStore || TRUSTED) && made.validity != DEAD -> kept = true; item.over = made.over; item.validity = made.validity
			:: else
			fi;
			clear(made); changedSinceStore = false
		}
	od
}
#endif

/* A read of Redis. The validity, and the reported changes, are taken before the request is sent. */
proctype reader() {
	byte reads;
end:	do
	:: reads < READS ->
		atomic { reads++; got.validity = VALIDITY; changed = false };
		atomic { got.over = CURRENT };
#ifdef COUNTED_AFTER_READ
		atomic { changed = false };
#endif
		atomic { /* the reply arrives */
			if
			:: !changed && got.validity != DEAD -> kept = true; item.over = got.over; item.validity = got.validity
			:: else
			fi;
			clear(got); changed = false
		}
	od
}

#ifdef NEVER_ENDS
#define HOLDS (until[item.validity] > 0)
#else
#define HOLDS (clock < until[item.validity])
#endif

/* A hit, at any time: what it returns was current within the last DELTA. */
proctype hits() {
end:	do
	:: atomic { kept && HOLDS && item.over != CURRENT && item.over + DELTA <= clock -> assert(false) }
	od
}

init {
	atomic {
		run server(); run others(); run heartbeat(); run connection(); run reader(); run hits();
#if STORES
		run storer()
#endif
	}
}
