/* What monitor.pml, condvar.pml, rwlock.pml and message.pml share: processes that are killed at any step, the kernel's queues, event
 * counts (src/sync/event_count.rs, linux.rs) and the lock (lock_core.rs) whose alarm is named for whole operations (`begin`, `end`).
 *
 * Stores are visible at once (lock.pml has store buffers and calming). Without them CALLED is as good as QUIET, so it is left out.
 * A sleeper is enqueued, and what it compares is compared, a word at a step; which sleeper a wake-up reaches is left open.
 * At a death the kernel marks the life word and wakes ONE of its watchers, then ONE sleeper on the alarm, if the dead one names it.
 *
 * Before the #include: N processes (2 to 4), EVENTS event counts, KILLS. After it: WAKE_EVERYBODY, what one does that the alarm
 * has woken. A process has the locals seen, watched, p, got, repair, and a label `die` before KERNEL_EXIT. */
#ifndef N
#define N 3
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define QUIET 0
#define ARMED 1
#define RUNG 2
#define LOCK 0                /* the event count of those who wait for the lock */

byte owner;                   /* 0: free */
byte state[EVENTS];           /* the event counts */
byte fresh[EVENTS];           /* a bit for each process that has armed it, and not compared its value yet, if the word still has that value */
byte on_bell[N + 1];          /* 1 + the event count */
bool on_alarm[N + 1], woken[N + 1], alarmed[N + 1], pending[N + 1], dead[N + 1];
byte on_life[N + 1];          /* a bit for each process whose life is watched */
byte kills = KILLS, started;

#define BIT(p) (1 << (p))
/* -DVICTIM=p: only that one is killed. */
#ifdef VICTIM
#define CAN_DIE (kills > 0 && i == VICTIM)
#else
#define CAN_DIE kills > 0
#endif
/* One step of the program; or the process is killed before it. */
#define STEP(...) if :: atomic { __VA_ARGS__ } :: atomic { CAN_DIE -> kills--; goto die } fi

#define HIT_BELL(p, e) on_bell[p] == (e) + 1 -> on_bell[p] = 0; woken[p] = true
#define HIT_ALARM(p) on_alarm[p] -> on_alarm[p] = false; woken[p] = true; alarmed[p] = true
#define HIT_LIFE(p, q) on_life[p] & BIT(q) -> on_life[p] = on_life[p] & ~BIT(q); woken[p] = true
#if N == 2
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__)
#define SUM(of) (of(1) + of(2))
#elif N == 3
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__) :: hit(3, ##__VA_ARGS__)
#define SUM(of) (of(1) + of(2) + of(3))
#else
#define EACH(hit, ...) :: hit(1, ##__VA_ARGS__) :: hit(2, ##__VA_ARGS__) :: hit(3, ##__VA_ARGS__) :: hit(4, ##__VA_ARGS__)
#define SUM(of) (of(1) + of(2) + of(3) + of(4))
#endif
#define WAKE_BELL(e) if EACH(HIT_BELL, e) :: else fi
#define WAKE_ALARM if EACH(HIT_ALARM) :: else fi
#define WAKE_LIFE(q) if EACH(HIT_LIFE, q) :: else fi
#define WAKE_BELLS(e) p = 1; do :: p <= N -> if :: HIT_BELL(p, e) :: else fi; p++ :: else -> break od; p = 0
#define IS_DEAD_BIT(p) (dead[p] -> BIT(p) : 0)
#define DEAD_BITS SUM(IS_DEAD_BIT)

/* EventCount::arm. The word counts the armings after RUNG, so whoever armed it before that finds another value: not fresh. */
inline arm(e) {
  STEP(if
#ifdef NO_REARM
    :: state[e] == QUIET -> state[e] = ARMED :: else
#else
    :: true -> state[e] = ARMED
#endif
    fi; fresh[e] = fresh[e] | BIT(i))
}
#define RANG(e) state[e] = RUNG; fresh[e] = 0

/* EventCount::ring and ring_many; the alarm is named. */
#define RING(e, wake) STEP(got = (state[e] == ARMED); if :: got -> RANG(e) :: else fi); if :: got -> STEP(wake) :: else fi; got = false
inline ring(e) { RING(e, WAKE_BELL(e)) }

/* EventCount::wake_all. */
inline wake_all_on(e) {
  STEP(if :: state[e] == ARMED -> RANG(e) :: else fi);
  STEP(WAKE_BELLS(e))
}

/* Kernel::sleep, up to the falling asleep; what is compared goes between the two. */
#define ENQUEUE(e) STEP(on_bell[i] = (e) + 1); STEP(on_alarm[i] = true)
#define SAME(world, awake) STEP(if :: world :: else -> goto awake fi)
#ifdef NO_COUNT
#define SAME_EVENT(e, awake) STEP(fresh[e] = fresh[e] & ~BIT(i); if :: state[e] == ARMED :: else -> goto awake fi)
#else
#define SAME_EVENT(e, awake) STEP(if :: fresh[e] & BIT(i) -> fresh[e] = fresh[e] & ~BIT(i) :: else -> goto awake fi)
#endif
#define STALE(e) fresh[e] = fresh[e] & ~BIT(i)
/* One that is dead already ends the sleep before it begins. */
#define WATCH(lives, awake) STEP(if :: (lives) & DEAD_BITS -> goto awake :: else -> on_life[i] = (lives); watched = (lives) fi)
#define ASLEEP if :: atomic { woken[i] -> skip } :: atomic { CAN_DIE -> kills--; goto die } fi
/* Awake: `got` says whether to wake everybody. Kernel::sleep wakes all who watch a life that has ended. */
#define AWAKE STEP( \
  got = (alarmed[i] || watched & DEAD_BITS); \
  on_bell[i] = 0; on_alarm[i] = false; woken[i] = false; alarmed[i] = false; on_life[i] = 0; \
  p = 1; do :: p <= N -> if :: watched & BIT(p) && dead[p] -> WAKE_LIVES(p) :: else fi; p++ :: else -> break od; p = 0; \
  watched = 0)
#define WAKE_LIVES(q) do EACH(HIT_LIFE, q) :: else -> break od

/* LockCore::take; `repair` says whether it was taken from the dead. */
inline take() {
  if
  :: owner == 0 -> owner = i; got = true
  :: owner != 0 && dead[owner] -> owner = i; got = true; repair = true
  :: else -> got = false; seen = owner
  fi
}

/* LockCore::acquire_slow. `delayed`: what one does who will sleep; `may`: whether it may give up, and `leave`: what it does then. */
#ifdef GIVE_UP
#define LOCK_DEADLINE(may, leave) if :: true :: may -> STEP(WAKE_BELL(LOCK)); leave fi
#else
#define LOCK_DEADLINE(may, leave) skip
#endif
#define ACQUIRE(delayed, may, leave, awake) \
  STEP(take()); \
  if \
  :: got \
  :: else -> \
     delayed; \
     do \
     :: arm(LOCK); \
        STEP(take()); \
        if :: got -> break :: else fi; \
        LOCK_DEADLINE(may, leave); \
        ENQUEUE(LOCK); WATCH(BIT(seen), awake); SAME(owner == seen, awake); SAME_EVENT(LOCK, awake); \
        ASLEEP; \
awake:  AWAKE; \
        if :: got -> WAKE_EVERYBODY :: else fi \
     od \
  fi; \
  atomic { STALE(LOCK); got = false; seen = 0 }

/* LockCore::release. */
#define RELEASE STEP(owner = 0); ring(LOCK)

#define BEGIN STEP(pending[i] = true)
#define END STEP(pending[i] = false)

#define KERNEL_EXIT(death) \
  atomic { \
    on_bell[i] = 0; on_alarm[i] = false; on_life[i] = 0; woken[i] = false; alarmed[i] = false; dead[i] = true; \
    death; \
    WAKE_LIFE(i) \
  }; \
  atomic { if :: pending[i] -> pending[i] = false; WAKE_ALARM :: else fi }
#define DRAW_KILLS do :: kills > 0 -> kills-- :: break od /* a kill that is left over would keep a sleeper from being stuck */
