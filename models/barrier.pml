/* The barrier (src/sync/barrier_core.rs): kill -9 at every step, no timed waits.
 *
 * N processes; all of them wait ROUNDS times at a barrier for PARTIES (all of them, unless it is said), but for the last one if
 * -DRESET=n (it resets the barrier n times) or -DABORT (it aborts it).  -DGIVE_UP: the first has a deadline.
 * Checked: a round is completed when all its places are claimed, and not if one of its parties was dead when the last place was
 * claimed; no two that leave a round have the same place in it (so one leads); no round ends both ways, however late one looks. And
 * when nothing can move any more (Watch): whoever sleeps has arrived in the present round, it is open, and nobody in it is dead.
 *
 * The looks at the places are a step each. Left out: waiting awake, `waiting`, and generations and resets that wrap. Mutants: runs.txt. */
#define CHANGED 0
#define EVENTS 1
#include "kernel.h"
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifdef RESET
#define EXTRA 1
#endif
#ifdef ABORT
#define EXTRA 1
#endif
#ifndef EXTRA
#define EXTRA 0
#endif
#ifndef PARTIES
#define PARTIES (N - EXTRA)
#endif
#define DO(...) if :: d_step { __VA_ARGS__ } :: atomic { kills > 0 -> kills--; goto die } fi
#ifdef ALARM_WAKES_ONE
#define WAKE_EVERYBODY skip
#else
#define WAKE_EVERYBODY wake_all_on(CHANGED)
#endif

/* The word `round`: status, 8 * count, 32 * culprit (left out), 128 * resets, 1024 * generation. */
#define IS_OPEN 0
#define TIMED_OUT 1
#define DIED 2
#define ABORTED 3
#define RESETTING 4
#define STATUS(r) ((r) & 7)
#define COUNT(r) ((r) >> 3 & 3)
#define RESETS(r) ((r) >> 7 & 7)
#define GENERATION(r) ((r) >> 10)
#define BROKEN(r, status) (((r) & ~7) | (status))
#define NEXT(r, resets) ((GENERATION(r) + 1) << 10 | (resets) << 7)
short round;
/* A place: the id, 4 * generation. */
#define CLAIM(id, r) ((id) | GENERATION(r) << 2)
#define ID(claim) ((claim) & 3)
#define IS_OF(claim, r) (ID(claim) && (claim) >> 2 == GENERATION(r))
#define IS_LATER(claim, r) (ID(claim) && (claim) >> 2 > GENERATION(r))
byte places[PARTIES];
/* What the last resets ended: which reset, 8 * generation. */
#define ENDS 2
#define END_WORD(r) (RESETS(r) + 1 | GENERATION(r) << 3)
#define WHICH(end) ((end) & 7)
byte ends[ENDS];

/* For the assertions: was a party dead when the last place was claimed; the places that have left a round with success, four bits
 * a round; the rounds that were left with an error. */
bool doomed;
int left_well;
byte left_ill;
#define WELL(r) (15 << 4 * GENERATION(r))
#define AT_PLACE(r) (1 << 4 * GENERATION(r) + at)
#define DEAD_IN(k) (k < PARTIES && IS_OF(places[(k) % PARTIES], round) && dead[ID(places[(k) % PARTIES])])
#define CLAIMED(k) (k >= PARTIES || IS_OF(places[(k) % PARTIES], round))

/* BarrierCore::replace: everybody is woken. `got` says whether it was this one that moved it. */
inline ring_all() {
#ifndef NO_RING
  DO(got = (state[CHANGED] != QUIET));
  if :: got -> wake_all_on(CHANGED) :: else fi;
#endif
  got = false
}
inline replace(from, to) {
  DO(got = (round == from); if :: got -> round = to :: else fi);
  moved = got;
  if :: got -> ring_all() :: else fi
}

/* break_if_dead: looks at the places up to the count; `broke`. */
inline break_if_dead() {
  broke = false; k = 0;
#ifndef DEAD_NOT_SEEN
  do
  :: k > COUNT(r) || broke -> break
  :: else -> DO(broke = (IS_OF(places[k], r) && dead[ID(places[k])]); k++)
  od;
  k = 0;
  if :: broke -> replace(r, BROKEN(r, DIED)); moved = false :: else fi
#endif
}

/* count_in */
inline count_in() {
  if
  :: COUNT(r) + 1 < PARTIES -> DO(if :: round == r -> round = r + 8 :: else fi)
  :: else ->
#ifdef LAST_UNSEEN
     broke = false;
#else
     break_if_dead();
#endif
     if
     :: !broke ->
        DO(got = (round == r);
          if
          :: got -> assert(CLAIMED(0) && CLAIMED(1) && CLAIMED(2) && !doomed); round = NEXT(r, RESETS(r))
          :: else
          fi);
        if :: got -> ring_all() :: else fi
     :: else
     fi
  fi;
  broke = false
}

/* finish_reset, of `r`, which says RESETTING */
inline finish_reset() {
#ifndef RESET_UNNOTED
  do
  :: DO(end = ends[RESETS(r) % ENDS]);
     if :: end && WHICH(end) >= RESETS(r) + 1 -> break :: else fi;
     DO(got = (ends[RESETS(r) % ENDS] == end); if :: got -> ends[RESETS(r) % ENDS] = END_WORD(r) :: else fi);
     if :: got -> break :: else fi
  od;
  atomic { end = 0; got = false };
#endif
  replace(r, NEXT(r, RESETS(r) + 1));
  moved = false
}

#define FORGET STALE(CHANGED); r = 0; joined = 0; at = 0; k = 0; p = 0; end = 0; claim = 0; lives = 0; \
  got = false; moved = false; broke = false; armed = false; repair = false; seen = 0

proctype Party(byte i) {
  byte n, at, k, p, end, claim, lives, watched, seen; short r, joined; bool got, moved, broke, armed, repair;
  atomic { started == i - 1 -> started = i };
next:
  if :: n == ROUNDS -> goto end_ :: else -> n++ fi;
  BEGIN;

  /* claim */
  do
  :: DO(r = round);
     if
     :: STATUS(r) == RESETTING -> finish_reset()
     :: STATUS(r) != RESETTING && STATUS(r) != IS_OPEN ->
        d_step { left_ill = left_ill | BIT(GENERATION(r)); assert(!(left_well & WELL(r))) };
        goto left
     :: else ->
        at = COUNT(r);
        DO(claim = places[at]);
        if
        :: IS_OF(claim, r) -> break_if_dead(); if :: !broke -> count_in() :: else fi; broke = false
        :: IS_LATER(claim, r) -> skip
        :: else ->
           DO(got = (places[at] == claim);
             if
             :: got ->
                places[at] = CLAIM(i, r);
                if :: at == PARTIES - 1 && GENERATION(round) == GENERATION(r) -> doomed = (DEAD_IN(0) || DEAD_IN(1) || DEAD_IN(2)) :: else fi
             :: else
             fi);
           if :: got -> break :: else fi
        fi;
        d_step { claim = 0; at = 0 }
     fi;
     r = 0
  od;
  atomic { joined = r; r = 0; claim = 0; got = false };

  /* wait_in */
  do
  :: DO(r = round);
     /* end_of */
     if
     :: GENERATION(r) == GENERATION(joined) -> if :: STATUS(r) != IS_OPEN -> goto ill :: else fi
     :: else ->
#ifdef FORGETS_RESETS
        goto well
#else
        if
        :: RESETS(r) == RESETS(joined) -> goto well
        :: else ->
           DO(end = ends[RESETS(joined) % ENDS]);
           if
           :: end == END_WORD(joined) || WHICH(end) != RESETS(joined) + 1 -> goto ill
           :: else -> goto well
           fi
        fi
#endif
     fi;
     if :: COUNT(r) == at -> count_in(); goto again :: else fi;
     break_if_dead();
     if :: broke -> broke = false; goto again :: else fi;
#ifdef GIVE_UP
     if :: true :: i == 1 -> replace(r, BROKEN(r, TIMED_OUT)); moved = false; goto again fi;
#endif
     if
     :: !armed -> arm(CHANGED); armed = true
     :: else ->
#ifndef NO_LIVES
        d_step {
          do :: k == COUNT(r) -> break :: else -> if :: k != at -> lives = lives | BIT(ID(places[k])) :: else fi; k++ od;
          k = 0
        };
#endif
        ENQUEUE(CHANGED);
        if :: lives -> WATCH(lives, look) :: else fi;
#ifndef NO_ROUND_COMPARE
        SAME(round == r, look);
#endif
        SAME_EVENT(CHANGED, look);
end_asleep:
        ASLEEP;
look:   AWAKE;
        if :: got -> WAKE_EVERYBODY :: else fi;
        d_step { lives = 0; got = false; r = 0 };
        arm(CHANGED)
     fi;
again: r = 0
  od;
well: skip;
  d_step { assert(!(left_well & AT_PLACE(joined))); left_well = left_well | AT_PLACE(joined); assert(!(left_ill & BIT(GENERATION(joined)))) };
  goto left;
ill: skip;
  d_step { left_ill = left_ill | BIT(GENERATION(joined)); assert(!(left_well & WELL(joined))) };
left:
  END;
  d_step { FORGET };
  goto next;
die:
  KERNEL_EXIT(FORGET; n = 0; watched = 0);
end_: skip
}

#if EXTRA
proctype Other(byte i) {
  byte n, at, k, p, end, claim, lives, watched, seen; short r, joined; bool got, moved, broke, armed, repair;
  atomic { started == i - 1 -> started = i };
#ifdef ABORT
  BEGIN;
  do
  :: DO(r = round);
     if
     :: STATUS(r) == RESETTING -> finish_reset()
     :: STATUS(r) == IS_OPEN -> replace(r, BROKEN(r, ABORTED)); if :: moved -> break :: else fi
     :: else -> break
     fi
  od;
  END;
#endif
#ifdef RESET
  do
  :: n == RESET -> break
  :: else ->
     n++;
     BEGIN;
     do
     :: DO(r = round);
        replace(r, BROKEN(r, RESETTING));
        if :: moved -> moved = false; r = BROKEN(r, RESETTING); finish_reset(); break :: else fi
     od;
     END;
     r = 0
  od;
#endif
  goto end_;
die:
  KERNEL_EXIT(FORGET; n = 0; watched = 0);
end_: skip
}
#endif

#define SLEEPS_IN(q, k) (k < PARTIES && k < COUNT(round) && places[(k) % PARTIES] == CLAIM(q, round))
#define DEAD_AT(k) (k < COUNT(round) && DEAD_IN(k))
active proctype Watch() {
  byte q;
end:
  do
  :: timeout ->
     q = 1;
     do
     :: q <= N - EXTRA ->
        assert(!on_bell[q] || STATUS(round) == IS_OPEN && (SLEEPS_IN(q, 0) || SLEEPS_IN(q, 1) || SLEEPS_IN(q, 2)));
        assert(!on_bell[q] || !DEAD_AT(0) && !DEAD_AT(1) && !DEAD_AT(2));
        q++
     :: else -> break
     od;
     break
  od
}

init {
  atomic {
    DRAW_KILLS;
    run Party(1);
#if N - EXTRA > 1
    run Party(2);
#endif
#if N - EXTRA > 2
    run Party(3);
#endif
#if EXTRA
    run Other(N);
#endif
  }
}
