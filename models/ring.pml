/* The ring's sleep and wake-up (src/queue/ring_core.rs, src/sync/event_count.rs): kill -9 at every step, no timed waits.
 *
 * NS senders send PUSHES messages each, NR receivers take TAKES each and are busy for ever after that, so a wake-up that is owed
 * to somebody else shows. CAP slots. Checked, when nothing can move any more (Monitor): no message is ready while a receiver
 * sleeps, no slot is free while a sender sleeps, nobody sleeps on a closed ring, and nobody waits for an end that nobody alive
 * holds. And always: nothing is committed after a receiver has concluded that the closed ring is drained.
 *
 * The ends' locks are atomic here and taken over from the dead at once (lock.pml has the real ones). The alarm is named for the
 * length of an operation: a death wakes one sleeper that is enqueued on it, and that one wakes all. Stores are visible at once
 * (lock.pml has store buffers).
 *
 * -DCLOSE: somebody closes the ring.  -DGIVE_UP: deadlines.  -DHOLD: the last receiver holds the consumer end for its takes.
 * -DCALMS=n: n attempts to calm.  Mutants: see run.sh. */
#ifndef NS
#define NS 2
#endif
#ifndef NR
#define NR 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef PUSHES
#define PUSHES 1
#endif
#ifndef TAKES
#define TAKES 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CALMS
#define CALMS 0
#endif
#ifdef CLOSE
#define T (NS + NR + 1)
#else
#define T (NS + NR)
#endif

#define QUIET 0
#define CALLED 1
#define ARMED 2
#define RUNG 3
#define SENT 0
#define FREED 1

byte tail, head, producer, holder; /* positions; the owner of the producer end; who holds the consumer end */
bool closed, verdict;
byte state[2], count[2];
byte on_bell[T + 1];               /* 1 + the event */
bool on_alarm[T + 1], on_lock[T + 1], woken[T + 1], alarmed[T + 1], pending[T + 1], dead[T + 1];
byte kills = KILLS, calms = CALMS, senders, receivers;

#define STEP(...) if :: atomic { __VA_ARGS__ } :: atomic { kills > 0 -> kills--; goto die } fi
#define HIT_BELL(p, e) on_bell[p] == e + 1 -> on_bell[p] = 0; woken[p] = true
#define HIT_ALARM(p) on_alarm[p] -> on_alarm[p] = false; woken[p] = true; alarmed[p] = true
#if NS + NR == 2
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__)
#elif NS + NR == 3
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__) :: hit(3, ##__VA_ARGS__)
#else
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__) :: hit(3, ##__VA_ARGS__) :: hit(4, ##__VA_ARGS__)
#endif
#define WAKE_BELL(e) if EACH(HIT_BELL, e) :: else fi
#define WAKE_ALARM if EACH(HIT_ALARM) :: else fi
#define WAKE_BELLS(e) p = 1; do :: p <= NS + NR -> if :: HIT_BELL(p, e) :: else fi; p++ :: else -> break od; p = 0
#define WAKE_LOCKS p = 1; do :: p <= NS + NR -> on_lock[p] = false; p++ :: else -> break od; p = 0

/* EventCount::ring; the alarm is named. */
inline ring(e) {
#ifdef RUNG_AFTER
  STEP(got = (state[e] == ARMED));
  if :: got -> STEP(WAKE_BELL(e)); STEP(if :: state[e] == ARMED -> state[e] = RUNG :: else fi) :: else fi;
#else
  STEP(if :: state[e] == ARMED -> state[e] = RUNG; got = true
          :: else -> got = false; seen = state[e] * 16 + count[e] fi);
  if
  :: got -> STEP(WAKE_BELL(e))
  :: else ->
#if CALMS > 0
     if
     :: atomic { seen >= 16 && seen / 16 != ARMED && calms > 0 -> calms-- };
        STEP(if :: seen == state[e] * 16 + count[e] -> state[e] = QUIET; count[e]++; got = true :: else fi);
        if :: got -> STEP(WAKE_BELLS(e)) :: else fi
     :: skip
     fi
#else
     skip
#endif
  fi;
#endif
  seen = 0; got = false
}

/* EventCount::wake_all, and for the mutant ring_all, which trusts QUIET. */
inline wake_all_on(e) {
  STEP(
#ifdef TRUST_QUIET
    got = (state[e] != QUIET);
#else
    got = true;
#endif
    if :: state[e] == ARMED -> state[e] = RUNG :: else fi);
  if :: got -> STEP(WAKE_BELLS(e)) :: else fi;
  got = false
}
inline wake_all() {
  wake_all_on(SENT); wake_all_on(FREED); STEP(WAKE_LOCKS)
}

/* Wait on event `e` whose position is `position`, until `work`: RingCore::wait. */
#define POSITION(e) (e == SENT -> tail : head)
#define WORK(e) (closed || (e == SENT -> tail != head : tail - head < CAP))
#ifdef NO_POSITION
#define SAME_WORLD(e) skip
#else
#define SAME_WORLD(e) if :: POSITION(e) == seen && !closed :: else -> goto look fi
#endif
#ifdef NO_REARM
#define SAME_EVENT(e) if :: state[e] >= ARMED && count[e] == value :: else -> goto look fi
#else
#define SAME_EVENT(e) if :: state[e] == ARMED && count[e] == value :: else -> goto look fi
#endif
inline wait(e) {
  armed = true;
  do
  :: do
     :: STEP(value = count[e]; got = false;
          if
          :: state[e] == ARMED -> got = true
          :: state[e] == QUIET -> state[e] = CALLED
          :: state[e] == CALLED -> state[e] = ARMED; got = true
#ifdef NO_REARM
          :: state[e] == RUNG -> got = true
#else
          :: state[e] == RUNG -> state[e] = ARMED; got = true
#endif
          fi);
        if :: got -> break :: else fi
     od;
     STEP(got = WORK(e); seen = POSITION(e));
     if :: got -> break :: else fi;
#ifdef GIVE_UP
     if
     :: skip
     ::
#ifndef NO_PASS_ON
        STEP(WAKE_BELL(e));
#endif
        goto gone
     fi;
#endif
#ifdef OLD_ORDER
     STEP(SAME_EVENT(e); on_bell[i] = e + 1); STEP(SAME_WORLD(e)); STEP(on_alarm[i] = true);
#else
     STEP(on_bell[i] = e + 1); STEP(on_alarm[i] = true); STEP(SAME_WORLD(e)); STEP(SAME_EVENT(e));
#endif
end_asleep:
     if
     :: atomic { woken[i] -> skip }
     :: atomic { kills > 0 -> kills--; goto die }
     fi;
look: STEP(got = alarmed[i]; on_bell[i] = 0; on_alarm[i] = false; woken[i] = false; alarmed[i] = false; seen = 0; value = 0);
#ifndef ALARM_WAKES_ONE
     if :: got -> wake_all() :: else fi;
#endif
     got = false
  od;
  atomic { got = false; seen = 0; value = 0 }
}

inline begin() {
#ifndef NO_ALARM
  STEP(pending[i] = true)
#else
  skip
#endif
}

inline kernel_exit() {
  atomic {
    on_bell[i] = 0; on_alarm[i] = false; on_lock[i] = false; woken[i] = false; alarmed[i] = false; dead[i] = true;
    seen = 0; value = 0; r = 0; armed = false; got = false;
    if :: i == NS + NR -> WAKE_LOCKS :: else fi  /* its life word, by which those on the lock sleep; each wakes the rest */
  };
  atomic { if :: pending[i] -> pending[i] = false; WAKE_ALARM :: else fi }
}

proctype Sender(byte i) {
  byte r, seen, value, p; bool armed, got;
  atomic { senders == i - 1 -> senders = i };
  do
  :: r == PUSHES -> break
  :: else -> r++;
     begin();
     do
     :: STEP(producer == 0 || dead[producer] -> producer = i);
        STEP(got = closed);
        if
        :: got ->
           STEP(producer = 0);
           wake_all_on(SENT);
           goto gone
        :: else
        fi;
        STEP(if :: tail - head < CAP -> tail++; assert(!verdict); got = true :: else fi);
        STEP(producer = 0);
        if :: got -> break :: else fi;
        wait(FREED)
     od;
#ifndef NO_RING
     ring(SENT);
#endif
#ifndef NO_CHAIN
     if :: armed && tail - head < CAP -> ring(FREED) :: else fi;
#endif
gone: STEP(pending[i] = false; armed = false; got = false; seen = 0; value = 0)
  od;
  goto end;
die: kernel_exit();
end: skip
}

proctype Receiver(byte i) {
  byte r, seen, value, p; bool armed, got;
  atomic { receivers == i - NS - 1 -> receivers = i - NS };
  do
  :: r == TAKES -> break
  :: else -> r++;
     begin();
#ifdef HOLD
     if :: i == NS + NR && holder != i -> STEP(holder == 0 || dead[holder] -> holder = i); STEP(WAKE_LOCKS) :: else fi;
#endif
     do
     :: STEP(
          if
          :: holder != 0 && holder != i && !dead[holder] -> value = 1
          :: else -> value = 0; if :: tail != head -> head++; got = true :: else fi
          fi);
        if
        :: value == 1 ->
#ifndef NO_DELAYED
           if :: armed -> STEP(WAKE_BELL(SENT)) :: else fi;
#endif
           STEP(if :: holder != 0 && !dead[holder] && !(closed && tail == head) -> on_lock[i] = true :: else fi);
end_on_lock:
           if
           :: atomic { !on_lock[i] -> skip }
#ifdef GIVE_UP
           :: atomic { on_lock[i] -> on_lock[i] = false; goto gone }
#endif
           :: atomic { kills > 0 -> kills--; goto die }
           fi
        :: else
        fi;
        if :: got -> break :: else fi;
        STEP(got = closed && (value == 0 || tail == head); value = 0);
        if
        :: got ->
           got = false;
#ifndef NO_DRAIN
           STEP(producer == 0 || dead[producer] -> skip);
#endif
           STEP(if :: tail == head -> verdict = true; goto gone :: else fi)
        :: else ->
           if :: holder == 0 || holder == i || dead[holder] -> wait(SENT) :: else fi
        fi
     od;
     ring(FREED);
#ifndef NO_CHAIN
     if :: armed && tail != head -> ring(SENT) :: else fi;
#endif
gone:
#ifdef HOLD
     if :: holder == i && r == TAKES -> STEP(holder = 0); STEP(WAKE_LOCKS) :: else fi;
#endif
     STEP(pending[i] = false; armed = false; got = false; seen = 0; value = 0)
  od;
  goto end;
die: kernel_exit();
end: skip
}

#ifdef CLOSE
proctype Closer(byte i) {
  byte r, seen, value, p; bool armed, got;
  begin();
  STEP(closed = true);
#ifndef CLOSE_NO_WAKE
  wake_all();
#endif
  STEP(pending[i] = false);
  goto end;
die: kernel_exit();
end: skip
}
#endif

active proctype Monitor() {
  byte q;
end:
  do
  :: timeout ->
     q = 1;
     do
     :: q <= NS -> assert(!(on_bell[q] && (closed || tail - head < CAP))); q++
     :: q > NS && q <= NS + NR ->
        assert(!(on_bell[q] && (closed || tail != head)));
        assert(!(on_lock[q] && (holder == 0 || dead[holder])));
        q++
     :: else -> break
     od;
     break
  od
}

init {
  atomic {
    do :: kills > 0 -> kills-- :: break od; /* a kill that is left over would keep a sleeper from being stuck */
    run Sender(1);
#if NS > 1
    run Sender(2);
#endif
#if NS > 2
    run Sender(3);
#endif
    run Receiver(NS + 1);
#if NR > 1
    run Receiver(NS + 2);
#endif
#if NR > 2
    run Receiver(NS + 3);
#endif
#ifdef CLOSE
    run Closer(NS + NR + 1);
#endif
  }
}
