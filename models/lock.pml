/* The lock's slow path (src/sync/lock_core.rs, event_count.rs, linux.rs): kill -9 at every step, no timed waits.
 *
 * Checked: mutual exclusion (assertion), and that nobody sleeps for ever (an invalid end state is a sleeper that nothing wakes).
 * N processes take LOCKS locks ROUNDS times in all; KILLS of them are killed, anywhere. Which sleeper a wake-up reaches is left
 * open. The unlocking store of 0 waits in a store buffer of one place until it drains, a locked instruction or a system call of
 * its process flushes it, or a membarrier of another does (-DSC: no buffers). Processes are numbered by their first step.
 *
 * The kernel at a death: the life word is marked and ONE of its watchers woken, then ONE sleeper on the alarm that the pending
 * pointer names. futex_waitv enqueues or compares word by word, a step each; a wake-up on an earlier word is kept.
 *
 * -DGIVE_UP: waiters may leave (deadline).  -DCALMS=n: n attempts to calm.  -DNEST: an owner's pending pointer is used for
 * something else while it holds the lock.  -DLOCKS=2: two locks, also held together (they share life words).
 * -DBELL: the lock of a ring's end: the alarm is named for the whole operation and is not the bell.
 * Mutants: see run.sh. */
#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LOCKS
#define LOCKS 1
#endif
#ifndef CALMS
#define CALMS 0
#endif
#ifdef OLD_ORDER
#define BELL
#endif

#define QUIET 0
#define CALLED 1
#define ARMED 2
#define RUNG 3

byte owner[LOCKS];               /* 0: free */
byte state[LOCKS], count[LOCKS]; /* the event count's word */
bool slow[LOCKS];
byte inside[LOCKS];              /* who is in the critical section, for the assertion */
byte buffered[N + 1];            /* 1 + the lock that this process has freed, not visible yet */
byte pending[N + 1];             /* 1 + the lock whose alarm the pending pointer names */
bool owes[N + 1], dead[N + 1];
byte on_bell[N + 1], on_alarm[N + 1], on_life[N + 1]; /* the kernel's queues: 1 + lock, 1 + lock, owner */
bool woken[N + 1];
byte kills = KILLS, calms = CALMS, started = 0;

/* One step of the program; or the process is killed before it. */
#define STEP(...) if :: atomic { __VA_ARGS__ } :: atomic { kills > 0 -> kills--; goto die } fi

#define HIT(p, queue, key) queue[p] == key -> queue[p] = 0; woken[p] = true
#if N == 2
#define WAKE_ONE(queue, key) if :: HIT(1, queue, key) :: HIT(2, queue, key) :: else fi
#define FLUSH_ALL drain(1); drain(2)
#elif N == 3
#define WAKE_ONE(queue, key) if :: HIT(1, queue, key) :: HIT(2, queue, key) :: HIT(3, queue, key) :: else fi
#define FLUSH_ALL drain(1); drain(2); drain(3)
#else
#define WAKE_ONE(queue, key) if :: HIT(1, queue, key) :: HIT(2, queue, key) :: HIT(3, queue, key) :: HIT(4, queue, key) :: else fi
#define FLUSH_ALL drain(1); drain(2); drain(3); drain(4)
#endif
#define WAKE_ALL(queue, key) p = 1; do :: p <= N -> if :: HIT(p, queue, key) :: else fi; p++ :: else -> break od; p = 0
#ifdef BELL
#define BELLS on_bell
#else
#define BELLS on_alarm           /* a lock that stands alone: its alarm is its bell */
#endif

inline drain(q) { if :: buffered[q] != 0 -> owner[buffered[q] - 1] = 0; buffered[q] = 0 :: else fi }
inline dequeue() { on_bell[i] = 0; on_alarm[i] = 0; on_life[i] = 0; woken[i] = false }

/* Linux::name_alarm, with release_owed: sets `named`. */
inline name_alarm(l) {
  if
  :: pending[i] == l + 1 -> named = false
  :: else ->
     if
     :: owes[i] ->
#ifndef OWED_NO_WAKE
        STEP(drain(i); WAKE_ONE(on_alarm, pending[i]))
#else
        skip
#endif
     :: else
     fi;
     STEP(owes[i] = false; named = true;
#ifndef NO_ALARM
          pending[i] = l + 1
#endif
     )
  fi
}
inline unname_alarm(l) { if :: pending[i] == l + 1 -> pending[i] = 0; owes[i] = false :: else fi; named = false }

inline take(l) {
  drain(i);
  if
  :: owner[l] == 0 || dead[owner[l]] ->
     owner[l] = i; assert(inside[l] == 0); inside[l] = i; have = have | (1 << l); got = true
  :: else -> got = false; seen = owner[l]
  fi
}

/* EventCount::arm; `value` is the count of the armed word. */
inline arm(l) {
  do
  :: STEP(drain(i); value = count[l]; got = false;
     if
     :: state[l] == ARMED -> got = true
     :: state[l] == QUIET -> state[l] = CALLED
     :: state[l] == CALLED
#ifdef NO_REARM
     :: state[l] == RUNG -> got = true
#else
     :: state[l] == RUNG -> state[l] = ARMED; got = true
#endif
     fi);
     if
     :: got -> break
     :: else ->
#ifdef NO_HEAVY_FENCE
        STEP(drain(i));
#else
        STEP(FLUSH_ALL);
#endif
        STEP(if :: state[l] == CALLED && count[l] == value -> state[l] = ARMED; got = true :: else fi);
        if :: got -> break :: else fi
     fi
  od;
  got = false
}

/* The words of futex_waitv. */
#define AT_BELL on_bell[i] = want + 1
#define AT_ALARM on_alarm[i] = want + 1
#ifdef NO_LIFE
#define AT_LIFE skip
#else
#define AT_LIFE if :: !dead[seen] -> on_life[i] = seen :: else -> goto look fi
#endif
#define SAME_OWNER if :: owner[want] == seen :: else -> goto look fi
#ifdef NO_REARM
#define SAME_EVENT if :: state[want] >= ARMED && count[want] == value :: else -> goto look fi
#else
#define SAME_EVENT if :: state[want] == ARMED && count[want] == value :: else -> goto look fi
#endif

proctype P(byte i) {
  byte r, want, seen, value, p, have; bool got, named, was_slow;
  do
  :: r < ROUNDS && have != (1 << LOCKS) - 1 ->
     /* Which lock: one not held, in order. */
     if
     :: have == 0 -> want = 0
#if LOCKS > 1
     :: have <= 1 -> want = 1
     :: have == 2 -> goto release
#endif
     fi;
     if :: r == 0 -> atomic { started == i - 1 -> started = i; r++ } :: else -> r++ fi;
#ifdef BELL
     STEP(pending[i] = want + 1);
#endif
     STEP(take(want));
     if :: got -> goto taken :: else fi;
     name_alarm(want);
     do
     :: arm(want);
        STEP(take(want));
        if
        :: got ->
#ifdef BELL
           break
#else
#ifdef NO_SLOW
           STEP(unname_alarm(want));
#else
           STEP(slow[want] = true; owes[i] = true);
#endif
           break
#endif
        :: else
        fi;
#ifdef GIVE_UP
        if
        :: skip
        :: /* the deadline has passed */
#ifndef NO_PASS_ON
           STEP(drain(i); WAKE_ONE(BELLS, want + 1));
#endif
           STEP(unname_alarm(want));
           goto taken
        fi;
#endif
#ifdef OLD_ORDER
        STEP(drain(i); SAME_EVENT; AT_BELL); STEP(SAME_OWNER); STEP(AT_LIFE); STEP(AT_ALARM);
#else
#ifdef COMPARE_FIRST
        STEP(drain(i); SAME_OWNER); STEP(SAME_EVENT); STEP(AT_LIFE); STEP(AT_ALARM);
#else
#ifdef BELL
        STEP(drain(i); AT_BELL); STEP(AT_ALARM); STEP(AT_LIFE); STEP(SAME_OWNER); STEP(SAME_EVENT);
#else
#ifdef LIFE_FIRST
        STEP(drain(i); AT_LIFE); STEP(AT_ALARM); STEP(SAME_OWNER); STEP(SAME_EVENT);
#else
        STEP(drain(i); AT_ALARM); STEP(AT_LIFE); STEP(SAME_OWNER); STEP(SAME_EVENT);
#endif
#endif
#endif
#endif
        if
        :: atomic { woken[i] -> skip }
        :: atomic { kills > 0 -> kills--; goto die }
        fi;
look:   STEP(dequeue(); value = 0);
#ifndef LIFE_ONE
        if :: dead[seen] -> STEP(WAKE_ALL(on_life, seen)) :: else fi;
#endif
        seen = 0
     od;
taken:
     atomic { named = false; got = false; seen = 0; value = 0 }

  :: have != 0 ->
#if LOCKS > 1
     if :: have & 1 -> want = 0 :: have & 2 -> want = 1 fi;
#endif
release:
#ifdef NEST
     /* Meanwhile another lock's slow path or a queue operation needs the pending pointer. */
     if
     :: skip
     :: owes[i] -> name_alarm(LOCKS + 1); STEP(pending[i] = 0; named = false)
     fi;
#endif
     STEP(inside[want] = 0; have = have & ~(1 << want); was_slow = slow[want]; slow[want] = false; drain(i);
#ifdef SC
       owner[want] = 0
#else
       buffered[i] = want + 1
#endif
     );
     /* EventCount::ring */
     STEP(value = state[want]);
     if
     :: value == QUIET
     :: else ->
#ifndef NO_RING_FENCE
        STEP(drain(i));
#endif
        do
        :: atomic { state[want] == QUIET -> break }
        :: atomic { state[want] == ARMED -> skip };
#ifndef RUNG_UNNAMED
           name_alarm(want);
#endif
#ifdef RUNG_AFTER
           STEP(drain(i); WAKE_ONE(BELLS, want + 1));
           STEP(if :: state[want] == ARMED -> state[want] = RUNG; got = true :: else -> got = false fi);
#else
           STEP(drain(i); if :: state[want] == ARMED -> state[want] = RUNG; got = true :: else -> got = false fi);
           if :: got -> STEP(WAKE_ONE(BELLS, want + 1)) :: else fi;
#endif
           if :: named -> STEP(unname_alarm(want)) :: else fi;
           if :: got -> break :: else fi
        :: atomic { state[want] == CALLED || state[want] == RUNG -> value = state[want] * 16 + count[want] };
#if CALMS > 0
           if
           :: atomic { calms > 0 -> calms-- };
#ifndef CALM_UNNAMED
              name_alarm(want);
#endif
              STEP(drain(i); got = false;
                if :: value == state[want] * 16 + count[want] -> state[want] = QUIET; count[want]++; got = true :: else fi);
#ifndef CALM_NO_WAKE
              if :: got -> STEP(WAKE_ALL(BELLS, want + 1)) :: else fi;
#endif
              if :: named -> STEP(unname_alarm(want)) :: else fi
           :: skip
           fi;
#endif
           break
        od
     fi;
#ifdef BELL
     STEP(pending[i] = 0);
#else
     if :: was_slow -> STEP(unname_alarm(want)) :: else fi;
#endif
     atomic { got = false; value = 0; was_slow = false; named = false }

  :: r == ROUNDS && have == 0 -> goto out
  od;

die:
  atomic {
    drain(i); dequeue(); dead[i] = true;
    p = 0; do :: p < LOCKS -> if :: inside[p] == i -> inside[p] = 0 :: else fi; p++ :: else -> break od; p = 0;
    r = 0; want = 0; seen = 0; value = 0; have = 0; got = false; named = false; was_slow = false;
    WAKE_ONE(on_life, i)
  };
  atomic { if :: pending[i] != 0 -> WAKE_ONE(on_alarm, pending[i]); pending[i] = 0 :: else fi; owes[i] = false };
  goto end;
out:
  atomic { drain(i); r = 0; want = 0 };
end:
  skip
}

#ifndef SC
/* A store buffer drains when it likes. */
active proctype Cpu() {
end:
  do
  :: atomic { buffered[1] != 0 -> drain(1) }
  :: atomic { buffered[2] != 0 -> drain(2) }
#if N > 2
  :: atomic { buffered[3] != 0 -> drain(3) }
#endif
#if N > 3
  :: atomic { buffered[4] != 0 -> drain(4) }
#endif
  od
}
#endif

init {
  atomic {
    do :: kills > 0 -> kills-- :: break od; /* a kill that is left over would keep a sleeper from being stuck */
    run P(1); run P(2);
#if N > 2
    run P(3);
#endif
#if N > 3
    run P(4);
#endif
  }
}
