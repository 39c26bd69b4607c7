/* storage_lock.pml: the lock of storage (native/src/lock.c) and how a call is committed
 * under it, for spin to try in every order, with processes that die at any step.
 *
 * A statement is one access to shared memory; a d_step is one atomic instruction or
 * system call, or notes of ours. Nobody naps before the first death: there, a wake-up
 * that gets lost shows as a deadlock. Time is a free choice: whoever waits may be
 * overdue, whoever is overdue may be passed over.
 *
 * WORKERS processes make CALLS calls each, and DEATHS of them die. LOCK_ALONE leaves out
 * what the lock guards. BREAK_... puts in a mistake that has to be found. */
#ifndef WORKERS
#define WORKERS 2
#define CALLS 2
#define DEATHS 2
#endif

/* The owner's word: times taken, and the seat, or 0 while free. */
#define SEAT(word) ((word) & 3)
#ifdef BREAK_COUNT
#define AFTER(word, seat) (seat)
#else
#define AFTER(word, seat) (((word) & 252) + 4 + (seat))
#endif

#define IDLE 0
#define RUNNING 1
#define COMMITTING 2

/* Shared memory. Index 0 of an array is not used. */
byte owner, releases;
bit waiters;
byte ticket[WORKERS + 1];
byte phase, live[2], committed[2];

/* The kernel. */
bit alive[WORKERS + 1];  /* by seat */
bit asleep[WORKERS + 1]; /* by worker */
bit killed[WORKERS + 1];
byte deaths;

/* Notes of ours: who holds the lock; calls that were answered; calls whose caller died,
 * which may have happened or not. */
byte inside, calling, answered, unanswered;
byte queue, arrivals; /* that wait; that have come since nobody did */
byte calls[WORKERS + 1];

inline swap(what, old, new) /* tells by (ok) */
{
    d_step {
        if
        :: what == (old) -> what = new; ok = 1
        :: else -> ok = 0
        fi
    }
}

inline wake_one()
{
    atomic {
        if
        :: asleep[1] -> asleep[1] = 0
        :: asleep[2] -> asleep[2] = 0
#if WORKERS > 2
        :: asleep[3] -> asleep[3] = 0
#endif
        :: else
        fi
    }
}

inline wake_all()
{
    d_step {
        asleep[1] = 0; asleep[2] = 0;
#if WORKERS > 2
        asleep[3] = 0
#endif
    }
}

/* The worker that has waited longest: (first), 0 = none, and its ticket (since). */
inline first_waiter()
{
    d_step {
        first = 0; since = 0; i = 1;
        do
        :: i <= WORKERS && ticket[i] && (since == 0 || ticket[i] < since) ->
            first = i; since = ticket[i]; i++
        :: i <= WORKERS && !(ticket[i] && (since == 0 || ticket[i] < since)) -> i++
        :: i > WORKERS -> break
        od;
        i = 0
    }
}

inline wake_next()
{
    waiters = 0;
    first_waiter();
    releases++;
    if
#ifdef BREAK_WAKE_NOBODY
    :: first == 0 -> skip
#else
    :: first == 0 -> wake_all()
#endif
    :: first && asleep[first] -> waiters = 1; asleep[first] = 0
    :: first -> waiters = 1; wake_one()
    fi;
    d_step { first = 0; since = 0 }
}

/* (ok): may take the free lock. */
inline may_take()
{
    do
    :: first_waiter();
       if
       :: since == 0 || since >= mine -> ok = 1; break
       :: else ->
           if
           :: ok = 1; break /* not overdue */
#ifdef BREAK_DECLINE
           :: ok = 0; break
#else
           :: asleep[first] = 0; ok = 0; break /* it goes first */
#endif
           :: swap(ticket[first], since, 0) /* it does not come */
           fi
       fi
    od;
    skip; /* as nothing may jump into a d_step */
    d_step { first = 0; since = 0 }
}

inline take_in_turn()
{
    word = owner;
    if
    :: SEAT(word) == 0 ->
        may_take();
        if
        :: ok -> swap(owner, word, AFTER(word, seat))
        :: else
        fi
    :: else -> ok = 0
    fi
}

inline take_from_dead()
{
    word = owner;
    if
    :: SEAT(word) && SEAT(word) != seat && !alive[SEAT(word)] ->
        swap(owner, word, AFTER(word, seat));
        repairs = ok
    :: else -> ok = 0
    fi
}

inline forget()
{
    ticket[self] = 0;
#ifndef BREAK_FORGET
    if
    :: SEAT(owner) == 0 -> wake_next()
    :: else
    fi
#endif
}

/* Counts start anew when nobody waits: states that differ in nothing else are one. */
inline leave_queue()
{
    d_step {
        queue--; mine = 0; seen = 0; word = 0;
        if
        :: queue == 0 -> arrivals = 0; releases = 0
        :: else
        fi
    }
}

/* (ok): the lock is ours, to be repaired if (repairs); else we gave up. */
inline take()
{
    ok = 0;
    if
    :: waiters == 0 ->
        word = owner;
        if
        :: SEAT(word) == 0 -> swap(owner, word, AFTER(word, seat))
        :: else
        fi
    :: else
    fi;
    if
    :: ok
    :: else ->
        d_step { queue++; arrivals++; mine = arrivals };
        do
        :: seen = releases;
           ticket[self] = mine;
#ifdef BREAK_ENLIST
           take_in_turn();
           waiters = 1;
#else
           waiters = 1;
           take_in_turn();
#endif
           if
           :: ok -> ticket[self] = 0; break
           :: else
           fi;
           if
           :: deaths -> take_from_dead()
           :: true
           fi;
           if
           :: ok -> ticket[self] = 0; break
           :: else
           fi;
           if
           :: forget(); ok = 0; break
           :: d_step { releases == seen -> asleep[self] = 1 };
              asleep[self] == 0 || deaths;
              asleep[self] = 0
           :: releases != seen
           fi
        od;
        skip;
        leave_queue()
    fi;
    word = 0
}

inline give()
{
    inside = 0;
    owner = owner & 252;
    if
    :: waiters -> wake_next()
    :: else
    fi
}

/* --- What the lock guards --- */

inline save()
{
    committed[0] = live[0];
    committed[1] = live[1]
}

inline restore()
{
    live[0] = committed[0];
    live[1] = committed[1]
}

/* With the lock just taken. */
inline enter()
{
    d_step { assert(inside == 0); inside = self };
    if
    :: repairs && phase == RUNNING -> restore(); phase = IDLE
    :: repairs && phase == COMMITTING -> save(); phase = IDLE
    :: else
    fi;
    repairs = 0;
    d_step {
        assert(phase == IDLE);
        assert(live[0] == live[1]);
        assert(live[0] == committed[0] && live[1] == committed[1]);
        assert(answered <= live[0] && live[0] <= answered + unanswered)
    }
}

inline commit()
{
    phase = COMMITTING;
#ifdef BREAK_COMMIT
    phase = IDLE;
    save()
#else
    save();
    phase = IDLE
#endif
}

inline roll_back()
{
    restore();
    phase = IDLE
}

inline call()
{
    d_step { phase = RUNNING; calling = self };
    live[0] = live[0] + 1;
    if
    :: live[1] = live[1] + 1;
#ifdef BREAK_ANSWER
       d_step { answered++; calling = 0 };
       commit()
#else
       commit();
       d_step { answered++; calling = 0 }
#endif
    :: roll_back(); calling = 0
    fi
}

proctype worker(byte self)
{
    byte seat, word, seen, mine, first, since, i;
    bit ok, repairs;
born:
    {
        d_step {
            seat = 1;
            do
            :: alive[seat] -> seat++
            :: else -> break
            od;
            alive[seat] = 1
        };
        word = owner;
        if
        :: SEAT(word) == seat ->
            swap(owner, word, AFTER(word, seat));
            if
            :: ok -> repairs = 1; enter(); give()
            :: else
            fi
        :: else
        fi;
        do
        :: calls[self] < CALLS ->
            calls[self]++;
            take();
            if
#ifdef LOCK_ALONE
            :: ok -> enter(); give()
#else
            :: ok -> enter(); call(); give()
#endif
            :: else
            fi
        :: else -> break
        od
    } unless { killed[self] };
    if
    :: killed[self] ->
#ifdef BREAK_DEATH
        alive[seat] = 0; /* before it has stopped to write: as if by thread */
        live[0] = live[0] + 1;
#endif
        d_step {
            if
            :: inside == self -> inside = 0
            :: else
            fi;
            if
            :: calling == self -> calling = 0; unanswered++
            :: else
            fi;
            if
            :: mine -> queue--
            :: else
            fi;
            asleep[self] = 0;
            word = 0; seen = 0; mine = 0; first = 0; since = 0; i = 0;
            ok = 0; repairs = 0
        };
        d_step { alive[seat] = 0; seat = 0; killed[self] = 0 };
        goto born
    :: else
    fi
}

active proctype killer()
{
end:
    do
    :: atomic { deaths < DEATHS && !killed[1] -> killed[1] = 1; deaths++ }
    :: atomic { deaths < DEATHS && !killed[2] -> killed[2] = 1; deaths++ }
#if WORKERS > 2
    :: atomic { deaths < DEATHS && !killed[3] -> killed[3] = 1; deaths++ }
#endif
    od
}

init
{
    atomic {
        run worker(1);
        run worker(2);
#if WORKERS > 2
        run worker(3)
#endif
    }
}
