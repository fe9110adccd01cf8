/* The condition variable and its mutex (src/sync/cond_core.rs, lock_core.rs, condvar.rs): kill -9 at every step, no timed waits.
 *
 * Of N processes the first CONSUMERS lock, wait while there is no item, take one, unlock; the others lock, add an item, notify one
 * (-DALL: an item for each consumer, notify all), unlock; each ROUNDS times. Checked: who owns the lock is alone; and when nothing can move any more (Watch), nobody
 * sleeps for the lock, nobody sleeps at the condition variable while there is an item, with a dead owner, or when an owner has
 * died since it began to wait.
 *
 * The lock is a mutex's: it names the alarm itself, the sleepers of both kinds share it, and who is woken by it, or sees a life
 * end, wakes all on its echo (Linux::sleep). The order of the kernel's comparisons is that of linux.rs.
 * -DGIVE_UP: deadlines of those who wait.  -DAFTER: notify after the unlock (KILLS=0).  -DCALMS: a notifier may calm CALLED.
 * -DNEST: an owner needs its pending pointer for something else (release_owed).  Mutants: see runs.txt. */
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#define EVENTS 1
#define COND 1
#include "kernel.h"

#define CALLED 3
#define WATCHED 7             /* in the owner word */
#ifdef NOT_WATCHED
#define FREE_WATCHED 0
#else
#define FREE_WATCHED WATCHED
#endif
bool named;                   /* slow: NAMED */
byte watchers, epoch;         /* slow: the rest */
byte seq, called, count;      /* the condition variable: notified; QUIET, CALLED or ARMED; returns to QUIET */
bool echoed[N + 1];
byte items, deaths, since[N + 1], inside; /* the data; for the assertions */

/* All on the echo are woken, and stay enqueued on the alarm until they run. */
#define HIT_ECHO(p) if :: on_alarm[p] -> woken[p] = true; echoed[p] = true :: else fi
#if N == 2
#define ECHO HIT_ECHO(1); HIT_ECHO(2)
#elif N == 3
#define ECHO HIT_ECHO(1); HIT_ECHO(2); HIT_ECHO(3)
#else
#define ECHO HIT_ECHO(1); HIT_ECHO(2); HIT_ECHO(3); HIT_ECHO(4)
#endif
#ifdef ALARM_WAKES_ONE
#define WAKE_EVERYBODY skip
#else
#define WAKE_EVERYBODY STEP(ECHO)
#endif

#ifdef NO_ALARM
#define NAME skip
#else
#define NAME pending[i] = true
#endif

/* EventCount::ring of the lock: the alarm is named before RUNG (E4), for this time or already. */
inline ring_named() {
  STEP(got = (state[LOCK] == ARMED));
  if
  :: got ->
     STEP(mine = !pending[i]; NAME);
     STEP(if :: state[LOCK] == ARMED -> RANG(LOCK) :: else -> got = false fi);
     if :: got -> STEP(WAKE_BELL(LOCK)) :: else fi;
     if :: mine -> STEP(pending[i] = false) :: else fi
  :: else
  fi;
  got = false; mine = false
}

/* LockCore::take. A lock without watchers: one step. `seen`: the owner. L4: else the alarm first. */
#define OWN owner = i; got = true; assert(!inside || dead[inside]); inside = i
inline take_cond() {
  STEP(
    seen = owner; got = false; slowly = false;
    if
    :: seen == WATCHED || seen && dead[seen] && watchers -> slowly = true
    :: !seen || seen != WATCHED && dead[seen] && !watchers -> OWN
    :: else
    fi
  );
  if
  :: slowly ->
#ifndef NAMED_LATE
     STEP(mine = !pending[i]; NAME);
#endif
#ifndef NO_EPOCH
#ifndef EPOCH_LATE
     if :: seen != WATCHED -> STEP(epoch++) :: else fi;
#endif
#endif
     STEP(if :: owner == seen -> OWN :: else fi);
#ifdef NAMED_LATE
     STEP(mine = !pending[i]; NAME);
#endif
#ifdef EPOCH_LATE
     if :: got && seen != WATCHED -> STEP(epoch++) :: else fi;
#endif
     if
     :: got -> STEP(named = true)
     :: !got && mine -> STEP(pending[i] = false)
     :: else
     fi;
     mine = false; slowly = false
  :: else
  fi
}

/* LockCore::release and release_slow. */
inline release_cond() {
  STEP(slowly = (named || watchers); got = (watchers > 0); named = false);
  STEP(owner = (got -> FREE_WATCHED : 0); inside = 0);
  ring_named();
  if :: slowly -> STEP(pending[i] = false); slowly = false :: else fi
}

/* CondCore::notify and quieten. */
#ifdef ALL
#define COND_WAKE(woke) woke = false; p = 1; do :: p <= N -> if :: HIT_BELL(p, COND); woke = true :: else fi; p++ :: else -> break od; p = 0
#else
#define COND_WAKE(woke) woke = true; if EACH(HIT_BELL, COND) :: else -> woke = false fi
#endif
inline notify() {
  STEP(got = (called != QUIET));
  if
  :: got ->
#ifndef NOTIFY_UNNAMED
     STEP(mine = !pending[i]; NAME);
#endif
     STEP(seq++);
     STEP(got = false; slowly = false;
       seen = called; seen_count = count;
#ifdef CALMS
       if :: called == CALLED -> slowly = true :: called == CALLED :: else fi
#endif
     );
     if
     :: seen == ARMED -> STEP(COND_WAKE(got); slowly = !got)
     :: else
     fi;
     if
     :: slowly ->
        STEP(got = (called == seen && count == seen_count); if :: got -> called = QUIET; count++ :: else fi);
#ifndef QUIETEN_NO_WAKE
        if :: got -> STEP(WAKE_BELLS(COND)) :: else fi;
#endif
        slowly = false
     :: else
     fi;
     if :: mine -> STEP(pending[i] = false) :: else fi
  :: else
  fi;
  atomic { mine = false; got = false; seen = 0; seen_count = 0 }
}

#define FORGET STALE(LOCK); seen = 0; seen_count = 0; seen_seq = 0; seen_epoch = 0; seen_watchers = 0; p = 0; got = false; repair = false; \
  mine = false; slowly = false; notified = false; timed_out = false; watching = false; seen_named = false; rung = false

proctype P(byte i) {
  byte r, seen, seen_count, seen_seq, seen_epoch, seen_watchers, watched, p;
  bool got, repair, mine, slowly, notified, timed_out, watching, seen_named, rung;
  atomic { started == i - 1 -> started = i };
next:
  if
  :: r == ROUNDS -> goto end
  :: else -> r++
  fi;

lock: /* LockCore::acquire_named; of one that waits (watching) the alarm is named already */
  take_cond();
  if
  :: got
  :: else ->
     STEP(NAME);
     do
     :: arm(LOCK);
        take_cond();
        if :: got -> break :: else fi;
        if :: seen == WATCHED -> goto again :: else fi;
#ifdef GIVE_UP
        if
        :: true
        :: i <= CONSUMERS ->
           STEP(WAKE_BELL(LOCK));
           if
           :: watching ->
#ifndef NO_NOTIFIED_PASS_ON
              if :: notified -> STEP(WAKE_BELL(COND)) :: else fi;
#endif
              STEP(watchers--)
           :: else
           fi;
           STEP(pending[i] = false);
           goto left
        fi;
#endif
        ENQUEUE(LOCK); WATCH(BIT(seen), look_lock); SAME(owner == seen, look_lock); SAME_EVENT(LOCK, look_lock);
end_queued:
        ASLEEP;
look_lock:
        AWAKE;
        echoed[i] = false;
        if :: got -> WAKE_EVERYBODY :: else fi;
again:  skip
     od;
     STEP(named = true)
  fi;
  atomic { STALE(LOCK); got = false; seen = 0 };
  if :: watching -> STEP(watchers--); atomic { watching = false; notified = false } :: else fi;
#ifdef NEST
  if
  :: true
  :: named && pending[i] -> STEP(WAKE_ALARM); STEP(pending[i] = false)
  fi;
#endif

  if
  :: i > CONSUMERS ->
#ifdef ALL
     STEP(items = items + CONSUMERS);
#else
     STEP(items++);
#endif
#ifndef AFTER
     notify();
#endif
     release_cond();
#ifdef AFTER
     notify();
#endif
     goto left
  :: i <= CONSUMERS && items -> STEP(items--); release_cond(); goto left
  :: i <= CONSUMERS && !items && timed_out -> release_cond(); goto left
  :: else
  fi;

  /* CondCore::wait */
  STEP(NAME);
  STEP(if :: called == QUIET -> called = CALLED :: else fi; seen_count = count);
  STEP(seen_seq = seq);
  STEP(watchers++; named = false; seen_epoch = epoch);
  STEP(owner = FREE_WATCHED; inside = 0; since[i] = deaths; watching = true);
  ring_named();
  STEP(got = (seq != seen_seq));
  if :: got -> notified = true; goto notified_or_not :: else fi;
  do
  :: STEP(got = (count == seen_count && called != QUIET); if :: got -> called = ARMED :: else fi);
     if :: got :: else -> STEP(notified = (seq != seen_seq)); break fi;
     STEP(notified = (seq != seen_seq));
     if :: notified -> break :: else fi;
     /* LockCore::look */
     STEP(seen = owner; repair = (seen && seen != WATCHED && dead[seen]));
     STEP(seen_watchers = watchers; seen_named = named; got = (epoch != seen_epoch));
     if :: got || repair -> break :: else fi;
#ifdef GIVE_UP
     if :: true :: timed_out = true; break fi;
#endif
     ENQUEUE(COND);
     if :: seen && seen != WATCHED -> WATCH(BIT(seen), look) :: else fi;
#ifndef NO_SEQ
     SAME(seq == seen_seq, look);
#endif
     SAME(count == seen_count && called == ARMED, look);
#ifndef OWNER_NOT_SEEN
     SAME(owner == seen, look); SAME(named == seen_named && watchers == seen_watchers && epoch == seen_epoch, look);
#endif
     rung = true;
end_waiting:
     ASLEEP;
look:
     STEP(rung = (on_bell[i] == 0 && !alarmed[i] && !echoed[i] && !(watched & DEAD_BITS)));
     AWAKE;
     echoed[i] = false;
     if :: got -> rung = false; WAKE_EVERYBODY :: else fi;
     if
     :: rung ->
        STEP(got = (seq == seen_seq));
        if :: got -> STEP(WAKE_BELL(COND)); break :: else fi
     :: else
     fi;
     atomic { got = false; rung = false; seen = 0; seen_watchers = 0; seen_named = false }
  od;
notified_or_not:
  atomic { got = false; repair = false; rung = false; seen = 0; seen_count = 0; seen_seq = 0; seen_epoch = 0; seen_watchers = 0; seen_named = false };
  goto lock;

left:
  atomic { FORGET; since[i] = 0;
#ifndef NOT_WATCHED
    assert(!pending[i])
#endif
  };
  goto next;
die:
  KERNEL_EXIT(if :: owner == i -> deaths++ :: else fi; echoed[i] = false; since[i] = 0; FORGET; r = 0; watched = 0);
end: skip
}

active proctype Watch() {
  byte q;
end:
  do
  :: timeout ->
     q = 1;
     do
     :: q <= N ->
        assert(on_bell[q] != LOCK + 1);
        assert(on_bell[q] != COND + 1 || !items);
        assert(on_bell[q] != COND + 1 || since[q] == deaths);
        q++
     :: else -> break
     od;
     break
  od
}

init {
  atomic {
    DRAW_KILLS;
    run P(1); run P(2);
#if N > 2
    run P(3);
#endif
#if N > 3
    run P(4);
#endif
  }
}
