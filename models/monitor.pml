/* The monitor (src/sync/monitor.rs) and two clients: kill -9 at every step, no timed waits.
 *
 * A semaphore (semaphore_core.rs), if nothing else is said: N processes acquire one of PERMITS permits ROUNDS times and release it,
 * or keep it for ever, alive or killed later: so what is owed to somebody else shows. Checked: never more holders than permits; and
 * when nothing can move any more (Watch), nobody sleeps who could have a permit, a dead holder's included.
 * -DHELD: the first PERMITS processes have one at the beginning; the others never release.  -DMANY: the last one acquires two.
 * -DGIVE_UP: who acquires may leave (deadline), of the lock too.
 *
 * -DBARRIER: what happens in *one* operation, changes that concern all, and no lives: N processes wait for all N, ROUNDS times, and one
 * that dies while it waits breaks the round. Checked: of a round, all that live leave with success or all learn that it broke;
 * nobody sleeps in a broken round, in one that is over, or in one with a dead party. (barrier.pml has the real barrier.)
 *
 * A change has one committing store, what is derived from it (the number of free permits) another, and the next owner repairs.
 * Mutants: see runs.txt. */
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef PERMITS
#define PERMITS 1
#endif
#define CHANGED 1
#define EVENTS 2
#include "kernel.h"

byte version;
#define NOBODY 0
#define ONE 1
#define EVERYBODY 2

#ifdef ALARM_WAKES_ONE
#define WAKE_EVERYBODY skip
#else
#define WAKE_EVERYBODY wake_all_on(CHANGED); wake_all_on(LOCK)
#endif

#ifdef BARRIER
#define MAY_GIVE_UP false
byte round = 1, arrived[N + 1]; /* the round; in which round a party has arrived */
bool broken;
bool passed[ROUNDS + 2], broke[ROUNDS + 2]; /* for the assertions */
#define HERE(p) (arrived[p] == round)
#define HERE_BIT(p) (HERE(p) -> 1 : 0)
#define LOST(p) (HERE(p) && dead[p])
#define LOST_BIT(p) (LOST(p) -> 1 : 0)
#else
#define MAY_GIVE_UP step == 0
byte free = PERMITS, hold[N + 1];
byte have[N + 1];               /* for the assertion: how many permits a living process believes to have */
#define HOLD_BIT(p) (hold[p] -> BIT(p) : 0)
#define HOLD(p) hold[p]
#define HAVE(p) have[p]
#define OF_DEAD(p) (dead[p] -> hold[p] : 0)
#endif

inline forget() { STALE(LOCK); STALE(CHANGED); seen = 0; p = 0; wakes = 0; armed = false; got = false; repair = false }

proctype P(byte i) {
  byte r, step, seen, seen_version, lives, watched, wakes, p; bool armed, got, repair;
#ifdef BARRIER
  byte my_round;
#else
  byte want = 1, returned;
#ifdef MANY
  if :: i == N -> want = 2 :: else fi;
#endif
#endif
  atomic {
    started == i - 1 -> started = i;
#ifdef HELD
    if :: i <= PERMITS -> step = 1; free--; hold[i] = 1; have[i] = 1; goto next :: else fi
#endif
  };
  do
  :: r == ROUNDS -> break
  :: else ->
     BEGIN;
     armed = false;
     do
     :: /* One attempt under the lock. */
        ACQUIRE(
          if :: armed -> STEP(WAKE_BELL(CHANGED)) :: else fi,
          MAY_GIVE_UP,
          if :: armed -> STEP(WAKE_BELL(CHANGED)) :: else fi; goto gave_up,
          look_lock);
        if
        :: repair ->
#ifndef BARRIER
#ifndef NO_REPAIR
           STEP(free = PERMITS - SUM(HOLD));
#endif
#endif
#ifndef NO_HEIR_VERSION
           STEP(version++);
#endif
           repair = false
        :: else
        fi;

#ifdef BARRIER
        if
        :: step == 1 && my_round != round ->
           STEP(passed[my_round] = true; assert(!broke[my_round]); step = 2); wakes = NOBODY
        :: else ->
           if
           :: broken -> got = true; wakes = NOBODY
           :: !broken && SUM(LOST_BIT) -> STEP(broken = true); got = true; wakes = EVERYBODY
           :: else ->
              if :: step == 0 -> STEP(arrived[i] = round; my_round = round; step = 1) :: else fi;
              if
              :: SUM(HERE_BIT) == N -> STEP(round++; passed[my_round] = true; assert(!broke[my_round]); step = 2); wakes = EVERYBODY
              :: else -> goto wait
              fi
           fi;
           if :: got -> STEP(broke[round] = true; assert(!passed[round]); step = 2) :: else fi
        fi;
#else
        if
        :: step == 0 -> /* acquire */
           returned = 0;
           if
           :: free < want && SUM(OF_DEAD) ->
              STEP(returned = SUM(OF_DEAD); free = free + returned; p = 1; do :: p <= N -> if :: dead[p] -> hold[p] = 0 :: else fi; p++ :: else -> break od; p = 0)
           :: else
           fi;
           if
           :: free >= want ->
              STEP(hold[i] = want; have[i] = want; assert(SUM(HAVE) <= PERMITS));
              STEP(free = free - want);
              wakes = (returned > 1 -> ONE : NOBODY);
#ifndef UNWATCHED
              /* M6. A sleeper watches those who held permits when it looked: one of them must look again, and watch this one too. */
              if :: armed -> wakes = ONE :: else fi;
#endif
#if defined(MANY) && !defined(MANY_ONE)
              if :: wakes -> wakes = EVERYBODY :: else fi;
#endif
           :: else -> goto wait
           fi
        :: else -> /* release */
           STEP(hold[i] = 0; have[i] = 0);
           STEP(free = free + want);
#if defined(MANY) && !defined(MANY_ONE)
           wakes = EVERYBODY
#else
           wakes = ONE
#endif
        fi;
#endif
        /* Monitor::leave */
        if
        :: wakes == NOBODY -> RELEASE
        :: else ->
#ifdef VERSION_AFTER
           RELEASE;
           STEP(version++);
#else
#ifndef NO_VERSION
           STEP(version++);
#endif
           RELEASE;
#endif
           if
           :: wakes == ONE -> ring(CHANGED)
#ifdef EVERYBODY_IS_MANY
           :: wakes == EVERYBODY -> RING(CHANGED, WAKE_BELLS(CHANGED))
#else
           :: wakes == EVERYBODY -> wake_all_on(CHANGED)
#endif
           fi
        fi;
        break;

wait:   /* Monitor::wait */
        seen_version = version;
        lives = 0;
#if !defined(BARRIER) && !defined(NO_LIVES)
        if :: armed -> lives = SUM(HOLD_BIT) :: else fi;
#endif
        RELEASE;
#ifdef GIVE_UP
        if
        :: true
        :: MAY_GIVE_UP ->
#ifndef NO_PASS_ON
           if :: armed -> STEP(WAKE_BELL(CHANGED)) :: else fi;
#endif
           goto gave_up
        fi;
#endif
        if
        :: armed ->
           ENQUEUE(CHANGED);
           if :: lives -> WATCH(lives, look) :: else fi;
#ifdef VERSION_FIRST
           SAME(version == seen_version, look); SAME(owner == 0, look);
#else
#ifndef NO_OWNER_COMPARE
           SAME(owner == 0, look);
#endif
#ifndef NO_VERSION_COMPARE
           SAME(version == seen_version, look);
#endif
#endif
           SAME_EVENT(CHANGED, look);
end_asleep:
           ASLEEP;
look:      AWAKE;
           if :: got -> WAKE_EVERYBODY :: else fi
        :: else -> armed = true
        fi;
        lives = 0; seen_version = 0; got = false;
        arm(CHANGED)
     od;
     END;
     atomic { forget(); 
#ifdef BARRIER
     step = 0; my_round = 0; r++
#else
     if :: step == 0 -> step = 1 :: else -> step = 0; r++ fi
#endif
     };
     goto next;
gave_up:
     END;
     atomic { forget(); lives = 0; seen_version = 0 };
#ifdef BARRIER
     r++;
#else
     if :: step == 1 :: else -> r++ fi;
#endif
next:
#ifndef BARRIER
     if
     :: step == 1 ->
#ifdef HELD
        if :: i <= PERMITS :: goto keep fi
#else
        if :: skip :: goto keep fi
#endif
     :: else
     fi
#else
     skip
#endif
  od;
  goto end;
#ifndef BARRIER
keep:
end_hold:
  atomic { kills > 0 -> kills--; goto die };
#endif
die:
#ifdef BARRIER
  KERNEL_EXIT(skip);
#else
  KERNEL_EXIT(have[i] = 0; want = 0; returned = 0);
#endif
  forget(); step = 0; r = 0; lives = 0; seen_version = 0; watched = 0;
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
#ifdef BARRIER
        assert(!on_bell[q] || !broken && HERE(q) && SUM(LOST_BIT) == 0);
#else
        assert(!on_bell[q] || PERMITS - SUM(HAVE) < 
#ifdef MANY
           (q == N -> 2 : 1)
#else
           1
#endif
        );
#endif
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
