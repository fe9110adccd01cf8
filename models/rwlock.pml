/* The lock for many readers or one writer (src/sync/rw_core.rs, lock_core.rs): kill -9 at every step, no timed waits.
 *
 * N processes read or write (-DWRITERS=n: the first n write, the others read) ROUNDS times, with SLOTS slots (1 or 2), and give back
 * what they have or keep it for ever, alive or killed later: so what is owed to somebody else shows. Checked: a writer is alone;
 * who is in and finds torn data finds a mark; and when nothing can move any more (Watch), nobody sleeps on `writers` without a living
 * owner, or on `drained` without a living tenant in the slot (or all slots) that it waits for.
 *
 * The lock names the alarm itself: from before one sleeps until the owner that had slept unlocks (`slow`); a waker before RUNG.
 * -DGIVE_UP: deadlines.  -DSHARES: a reader takes two shares and gives them back in any order.  -DDOWNGRADE: a writer may become a reader.
 * Mutants: see runs.txt. */
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#define DRAINED 1
#define EVENTS 2
#include "kernel.h"
#ifdef ALARM_WAKES_ONE
#define WAKE_EVERYBODY skip
#else
#define WAKE_EVERYBODY wake_all_on(LOCK); wake_all_on(DRAINED)
#endif

bool slow;                    /* in the lock: the owner's pending pointer names the alarm */
byte tenant[SLOTS], extra[SLOTS], mark;
bool torn;                    /* the data */
byte inside[N + 1];           /* for the assertions */
#define READER 1
#define WRITER 2
byte waits_for[N + 1];        /* the slot of the one that sleeps on `drained`, or ANY */
#define ANY SLOTS

#define IS_IN(p) (inside[p] != 0 -> 1 : 0)
#define IS_WRITER(p) (inside[p] == WRITER -> 1 : 0)
#define ENTER_READER inside[i] = READER; assert(SUM(IS_WRITER) == 0); assert(!torn || mark)
#define FIRST (i % SLOTS)
#define OTHER(s) (SLOTS - 1 - (s))

/* EventCount::ring: the alarm is named before RUNG (E4), for this time or already. */
inline ring_named(e) {
  STEP(got = (state[e] == ARMED));
  if
  :: got ->
#ifdef RUNG_UNNAMED
     named = false;
#else
     STEP(named = !pending[i]; pending[i] = true);
#endif
     STEP(if :: state[e] == ARMED -> RANG(e) :: else -> got = false fi);
     if :: got -> STEP(WAKE_BELL(e)) :: else fi;
     if :: named -> STEP(pending[i] = false) :: else fi
  :: else
  fi;
  got = false; named = false
}

/* RwCore::unlock. */
inline unlock() {
  STEP(was_slow = slow; slow = false; owner = 0);
  ring_named(LOCK);
  if :: was_slow -> STEP(pending[i] = false); was_slow = false :: else fi
}

/* RwCore::sit and is_vacant, for `slot`; `got` says whether it was. */
inline sit(slot) { if :: tenant[slot] == 0 -> tenant[slot] = i; got = true :: else -> got = false fi }
inline vacant(slot) {
  STEP(got = (tenant[slot] == 0); repair = (tenant[slot] && dead[tenant[slot]]));
  if
  :: repair ->
#ifdef TENANT_FIRST
     STEP(tenant[slot] = 0); STEP(extra[slot] = 0);
#else
     STEP(extra[slot] = 0); STEP(tenant[slot] = 0);
#endif
     got = true; repair = false
  :: else
  fi
}
#ifdef NO_DRAIN_RING
#define LEAVE(slot) STEP(tenant[slot] = 0)
#else
#define LEAVE(slot) STEP(tenant[slot] = 0); ring_named(DRAINED)
#endif

#define FORGET STALE(LOCK); STALE(DRAINED); s = 0; p = 0; got = false; repair = false; named = false; dnamed = false; was_slow = false; armed = false; \
  waits_for[i] = 0; seen = 0; lives = 0; mode = 0; slot = 0; guards[0] = 0; guards[SLOTS - 1] = 0

proctype P(byte i) {
  byte r, mode, seen, watched, lives, p, s, slot, guards[SLOTS];
  bool got, repair, named, dnamed, was_slow, armed;
  atomic { started == i - 1 -> started = i };
next:
  if
  :: r == ROUNDS -> goto end
  :: else -> r++
  fi;
#ifdef WRITERS
  if :: i <= WRITERS -> goto write :: else -> goto read fi;
#else
  if :: goto read :: goto write fi;
#endif

read: /* RwCore::read */
  mode = READER; slot = FIRST;
#ifdef NO_RECHECK
  STEP(got = (owner == 0)); /* looks first */
  if :: got :: else -> goto queue fi;
#endif
  STEP(sit(slot));
  if
  :: got ->
#ifdef NO_RECHECK
     STEP(ENTER_READER); goto in;
#endif
     STEP(got = (owner == 0); if :: got -> ENTER_READER :: else fi);
     if :: got -> goto in :: else fi;
     /* read_turned_away */
#ifdef SHARES
#ifdef SHARE_MOVES
     if :: guards[OTHER(slot)] > 0 -> goto in :: else fi;
#else
     if
     :: SLOTS > 1 && guards[OTHER(slot)] > 0 ->
        STEP(extra[OTHER(slot)]++);
        LEAVE(slot);
        slot = OTHER(slot); goto in
     :: else
     fi;
#endif
#endif
     LEAVE(slot)
  :: else -> /* read_elsewhere */
#ifdef SHARES
     if
     :: guards[slot] > 0 -> STEP(extra[slot]++); goto in
     :: else
     fi;
     if
     :: SLOTS > 1 && guards[OTHER(slot)] > 0 -> STEP(extra[OTHER(slot)]++); slot = OTHER(slot); goto in
     :: else
     fi;
#endif
#if SLOTS > 1
     slot = OTHER(slot);
     STEP(sit(slot));
     if
     :: got ->
        STEP(got = (owner == 0); if :: got -> ENTER_READER :: else fi);
        if :: got -> goto in :: else fi;
        LEAVE(slot)
     :: else
     fi
#else
     skip
#endif
  fi;
  goto queue;

write:
  mode = WRITER;

queue: /* LockCore::acquire_slow */
  atomic { got = false; slot = 0 };
  STEP(take());
  if
  :: got
  :: else ->
     STEP(pending[i] = true);
     do
     :: arm(LOCK);
        STEP(take());
        if :: got -> break :: else fi;
#ifdef GIVE_UP
        if
        :: true
        ::
#ifndef NO_PASS_ON
           STEP(WAKE_BELL(LOCK));
#endif
           STEP(pending[i] = false); goto left
        fi;
#endif
        ENQUEUE(LOCK); WATCH(BIT(seen), look_lock); SAME(owner == seen, look_lock); SAME_EVENT(LOCK, look_lock);
end_queued:
        ASLEEP;
look_lock:
        AWAKE;
        if :: got -> WAKE_EVERYBODY :: else fi
     od;
     STEP(slow = true)
  fi;
  atomic { STALE(LOCK); got = false; repair = false; seen = 0 };
  if :: mode == READER -> goto sit_as_owner :: else fi;

  /* RwCore::write: one look at each slot. */
  s = 0;
  do
  :: s < SLOTS ->
     STEP(got = (tenant[s] == 0));
     if :: got -> s++ :: else -> break fi
  :: else -> break
  od;
  if :: s == SLOTS -> goto writing :: else -> s = 0 fi;
  goto wait;

sit_as_owner:
  s = FIRST;
  do
  :: vacant(s);
     if :: got -> STEP(sit(s); if :: got -> ENTER_READER :: else fi) :: else fi;
     if :: got -> goto seated :: else fi;
     if :: s == FIRST && SLOTS > 1 -> s = OTHER(s) :: else -> break fi
  od;

wait: /* RwCore::with_alarm, wait_for */
#ifndef DRAIN_UNNAMED
  STEP(dnamed = !pending[i]; pending[i] = true);
#endif
  armed = false;
  do
  :: if
     :: mode == WRITER ->
        vacant(s);
        if
        :: got -> armed = false; s++; if :: s == SLOTS -> break :: else -> goto again fi
        :: else
        fi
     :: else ->
        s = FIRST;
        do
        :: vacant(s);
           if :: got -> STEP(sit(s); if :: got -> ENTER_READER :: else fi) :: else fi;
           if :: got -> break :: else fi;
           if :: s == FIRST && SLOTS > 1 -> s = OTHER(s) :: else -> break fi
        od;
        if :: got -> break :: else fi
     fi;
     if
     :: armed ->
#ifdef GIVE_UP
        if
        :: true
        :: if :: dnamed -> STEP(pending[i] = false) :: else fi; unlock(); goto left
        fi;
#endif
        lives = 0;
        if
        :: mode == WRITER ->
           STEP(if :: tenant[s] -> lives = BIT(tenant[s]); waits_for[i] = s :: else -> goto rearm fi)
        :: else ->
           STEP(if :: tenant[0] -> lives = BIT(tenant[0]); waits_for[i] = ANY :: else -> goto rearm fi);
#if SLOTS > 1
           STEP(if :: tenant[1] -> lives = lives | BIT(tenant[1]) :: else -> goto rearm fi)
#endif
        fi;
        ENQUEUE(DRAINED);
#ifndef NO_LIVES
        WATCH(lives, look_drained);
#endif
        SAME_EVENT(DRAINED, look_drained);
end_draining:
        ASLEEP;
look_drained:
        AWAKE;
        if :: got -> WAKE_EVERYBODY :: else fi
     :: else
     fi;
rearm:
     atomic { STALE(DRAINED); lives = 0; got = false; waits_for[i] = 0 };
     arm(DRAINED);
     armed = true;
again: skip
  od;
  atomic { STALE(DRAINED); armed = false; got = false; waits_for[i] = 0 };
  if :: dnamed -> STEP(pending[i] = false); dnamed = false :: else fi;
  if :: mode == WRITER -> goto writing :: else fi;
seated:
  atomic { slot = s; s = 0; got = false };
  unlock();
  goto in;

writing:
  atomic { s = 0; inside[i] = WRITER; assert(SUM(IS_IN) == 1); assert(!torn || mark) };
#ifdef MARK_LATE
  STEP(torn = true); STEP(mark = i);
#else
  STEP(mark = i); STEP(torn = true);
#endif
#ifdef KEEP_WRITER
  if :: true :: goto keep fi;
#endif
  STEP(torn = false);
  STEP(mark = 0; inside[i] = 0);
#ifdef DOWNGRADE
  if :: true :: mode = READER; goto sit_as_owner fi;
#endif
  unlock();
  goto left;

in:
  atomic { got = false; guards[slot]++; inside[i] = READER; assert(tenant[slot] == i) };
#ifdef SHARES
  if
  :: guards[0] + (SLOTS > 1 -> guards[SLOTS - 1] : 0) < 2 -> slot = 0; goto read
  :: true
  fi;
more:
  if :: guards[0] -> slot = 0 :: SLOTS > 1 && guards[SLOTS - 1] -> slot = SLOTS - 1 fi;
#endif
  if :: true :: goto keep fi;
  /* RwCore::end_reading */
  atomic { guards[slot]--; assert(tenant[slot] == i && extra[slot] == guards[slot]);
    inside[i] = (guards[0] + guards[SLOTS - 1] -> READER : 0) };
#ifdef SHARES
  if
  :: extra[slot] -> STEP(extra[slot]--)
  :: else -> LEAVE(slot)
  fi;
  if :: guards[0] + guards[SLOTS - 1] -> goto more :: else fi;
#else
  LEAVE(slot);
#endif

left:
  atomic { FORGET; inside[i] = 0; assert(!pending[i]) };
  goto next;

keep:
end_keep:
  atomic { CAN_DIE -> kills--; goto die };
die:
  KERNEL_EXIT(inside[i] = 0; FORGET; r = 0; watched = 0);
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
        assert(on_bell[q] != LOCK + 1 || owner && !dead[owner]);
        assert(on_bell[q] != DRAINED + 1 || waits_for[q] == ANY || tenant[waits_for[q]] && !dead[tenant[waits_for[q]]]);
        assert(on_bell[q] != DRAINED + 1 || waits_for[q] != ANY ||
               tenant[0] && !dead[tenant[0]] && tenant[SLOTS - 1] && !dead[tenant[SLOTS - 1]]);
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
