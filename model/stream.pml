/* How a process hears of changes: tracking, canaries, lost connections, flushes, swapped databases. It is checked for G2 as an order of
 * events: a hit of the local tier returns a value that Redis had at some moment of the last DELTA ticks. With STORES also for the part of G3
 * that concerns one key: it isn't older than a store of the process that Redis has acknowledged.
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
#define STORES 0  /* by the process itself, which are confirmed */
#endif
#ifndef REPEATS
#define REPEATS 0 /* of a canary, by the client, which had no answer */
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
bool asked;               /* GETRANGE is under way, on the stream's connection, to confirm what was stored */
bool madeThere;           /* the stream's server has had it since the client's isn't that one any more */

mtype = { CONFIRMED, ADDED, CHANGED, CANARY, LOST, FLUSHED, PONG, HEAD };
chan stream = [8] of { mtype, byte };

/* The process. */
bool broken;              /* its connection is; the stream hasn't noticed */
bool connected;
byte validity = DEAD;     /* the current one: 0, 1 or DEAD */
bool opened = !LATE_NAMES;  /* the cache is */
bool named = !LATE_NAMES;   /* Redis has confirmed that it hears of the prefix */
byte until[2];            /* it holds before this tick; 0: not yet */
byte markedAt;            /* the newest canary that Redis is known to have taken */
#ifdef REPEATED_LOSS_UNNOTICED
byte newest;              /* the newest that was reported */
#endif

/* A value in memory: that of a read under way, that of a store that is being confirmed, and that of the local tier. */
typedef Value { byte over; byte validity; byte own };
Value got, made, item;
#define OLDER 1 /* than a store of the process that is under way; */
#define TOO_OLD 2 /* than one that was acknowledged */
bool kept;                /* the local tier has a value */
bool changed;             /* the key's change was reported since the read began */
byte stored;              /* when what a store under way has written was replaced */
bool confirms;            /* a store */
bool gotOvertaken, madeOvertaken; /* the process has written the key since the read began, since the store */

inline replace(when) {
	if
	:: when == CURRENT -> when = clock
	:: else
	fi
}

inline replaceValue() { replace(got.over); replace(made.over); replace(item.over); replace(stored) }

inline clear(v) { v.over = 0; v.validity = DEAD; v.own = 0 }

/* What was read under the validity is never served again. Another one may then have its number. */
inline endValidity(v) {
	if
	:: got.validity == v -> got.validity = DEAD
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
#if STORES
	:: atomic { asked -> asked = false; stream!HEAD((elsewhere -> madeThere : made.over == CURRENT)) } /* in any turn */
#endif
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
	:: atomic { moves < MOVES -> moves++; elsewhere = true; madeThere = (confirms && made.over == CURRENT) }
	:: atomic { losses < LOSSES && tracking -> losses++; tracking = false; broken = true; heard = false; asked = false;
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
	byte t0, expected, repeats;
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
#if REPEATS
			if
#ifdef REPEATED_CANARY_COUNTS
			:: atomic { repeats < REPEATS && mark <= t0 -> repeats++;
#else
			:: atomic { repeats < REPEATS && mark < t0 -> repeats++; /* in the database that took it it does nothing more */
#endif
					if
					:: mark < expected -> lostCanaries = lostCanaries | (1 << t0)
					:: else -> canaries = canaries | (1 << t0)
					fi;
					mark = t0 }
			:: skip
			fi;
#endif
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
#ifdef REPEATED_LOSS_UNNOTICED
	newest = (n > newest -> n : newest);
#endif
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

#ifdef NO_GENERATION
#define OVERTAKEN(v) false
#else
#define OVERTAKEN(v) v
#endif

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
			connected = false; confirms = false; clear(made) }
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
	:: atomic { stream?CHANGED(_) -> changed = true; kept = false; clear(item) }
#if STORES
	:: atomic { stream?HEAD(n) ->
			if
			:: (n || TRUSTED) && confirms && !OVERTAKEN(madeOvertaken) && VALIDITY != DEAD ->
				kept = true; item.over = made.over; item.own = made.own; item.validity = validity
			:: else
			fi;
			confirms = false; clear(made); n = 0 }
#endif
	:: atomic { stream?CANARY(n) -> reported(n) }
	:: stream?LOST(n) ->
#ifdef REPEATED_LOSS_UNNOTICED
		if
		:: n > newest -> flushed()
		:: n <= newest
		fi;
#elif !defined(SWAP_UNNOTICED)
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

#if STORES
inline age(v, from, to) {
	if
	:: v.own == from -> v.own = to
	:: else
	fi
}

/* A store by the process: Redis, then the local tier. Then the stream's connection reads the head of what Redis has. A store doesn't wait
 * until the one before is confirmed. */
proctype storer() {
	byte stores;
end:	do
	:: stores < STORES ->
		atomic { stores++; gotOvertaken = true; madeOvertaken = true };
		atomic { replaceValue(); keyChanged = true; stored = CURRENT;
				age(got, 0, OLDER); age(made, 0, OLDER); age(item, 0, OLDER) };
		atomic { /* the answer */
			gotOvertaken = true; madeOvertaken = true; kept = false; clear(item); age(got, OLDER, TOO_OLD); age(made, OLDER, TOO_OLD);
			if
			:: connected && !confirms -> confirms = true; made.over = stored; made.own = 0; madeOvertaken = false; madeThere = false; asked = !broken
			:: else
			fi;
			stored = 0 }
	od
}
#endif

/* A read of Redis. The validity, and the reported changes, are taken before the request is sent. */
proctype reader() {
	byte reads;
end:	do
	:: reads < READS ->
		atomic { reads++; got.validity = VALIDITY; changed = false; gotOvertaken = false };
		atomic { got.over = CURRENT; got.own = 0 };
#ifdef COUNTED_AFTER_READ
		atomic { changed = false };
#endif
		atomic { /* the reply arrives */
			if
			:: !changed && !OVERTAKEN(gotOvertaken) && got.validity != DEAD ->
				kept = true; item.over = got.over; item.own = got.own; item.validity = got.validity
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
#if STORES
	:: atomic { kept && HOLDS && item.own == TOO_OLD -> assert(false) } /* G3 */
#endif
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
