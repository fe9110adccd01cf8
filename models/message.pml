/* The message queue (src/queue/byte_ring/): claims, overtaking, loans, and what deaths leave; kill -9 at every step, no timed waits.
 *
 * NS senders send PUSHES messages each (the first one FIRST; LARGE: the mask of the large ones, by number), NR receivers take TAKES
 * each and are busy
 * for ever after that, so a wake-up that is owed to somebody else shows. CAP records, of one unit each. Checked always: what is
 * received is whole, and consumed once (at the committing store); none is received while one waits whose send had returned before
 * its send began (B5); nothing comes after a receiver has concluded that the closed queue is empty, and nothing was there then; a
 * record is its holder's until that ends it. And when nothing can move any more (Watch): what was sent and not consumed is there;
 * nobody sleeps for a message while there is one (a dead reader's included) or when none can come, or for room that is there or that
 * the dead have left behind.
 *
 * The ends' locks are atomic and taken from the dead at once, as in ring.pml (lock.pml has the real ones). What is left out: the fast
 * receive (a part of the slow look), joined lengths, hints (`seen`, `landed`), `len`, and TooLong.
 *
 * -DNO_COUNT: an arming after RUNG gives the old value again.  -DLATER_TAIL: a sender that has looked as far as one tail decides by a
 * later one whether to sleep.
 *
 * -DVIEW: a loan outlives its operation and is kept for ever, or finished; -DPUT_BACK: or put back.  -DLEND: small ones are lent too,
 * by the first receiver.  -DCLOSE: the first sender closes in the end.  -DGIVE_UP: deadlines.  -DPUT_BACK_ONE: `put_back` wakes one
 * receiver of a closed queue. Mutants: see runs.txt. */
#ifndef NS
#define NS 1
#endif
#ifndef NR
#define NR 1
#endif
#ifndef CAP
#define CAP 2
#endif
#ifndef PUSHES
#define PUSHES 1
#endif
#ifndef TAKES
#define TAKES 1
#endif
#ifndef LARGE
#define LARGE 255
#endif
#define N (NS + NR)
#ifndef FIRST
#define FIRST PUSHES
#endif
#define M (NS * PUSHES)
#define SENT 1
#define FREED 2
#define EVENTS 3
#include "kernel.h"
/* A step without a choice in it: cheaper to compile. */
#define DO(...) if :: d_step { __VA_ARGS__ } :: atomic { kills > 0 -> kills--; goto die } fi

#ifdef ALARM_WAKES_ONE
#define WAKE_EVERYBODY skip
#else
#define WAKE_EVERYBODY wake_all_on(SENT); wake_all_on(FREED)
#endif

#define READY 0
#define WRITING 8             /* and who */
#define READING 16
#define DONE 24
#define KIND(s) ((s) & 24)
#define WHO(s) ((s) & 7)
#define PRODUCER 0
#define CONSUMER 1

byte tail, take_, head, turn, claimed;
bool closed;
byte owner_of[2];                  /* who owns the end */
byte state_[CAP], body[CAP];
bool late[CAP];
byte landed, eaten, returned, must, before[M + 1]; /* for the assertions; sets of messages */
bool verdict;

#define AT(position) ((position) % CAP)
#define IS_LARGE(m) (LARGE & BIT(m))
/* Slot by slot, as everybody could see it. */
#define POSITION(s) (head + ((s) + CAP - head % CAP) % CAP)
#define IN(s) (POSITION(s) < tail)
#define BELOW(s) (POSITION(s) < take_)
#define OF_DEAD(s, what) (KIND(state_[s]) == what && dead[WHO(state_[s])])
#define OF_LIVING(s, what) (KIND(state_[s]) == what && !dead[WHO(state_[s])])
#define MESSAGE(s) (IN(s) && (OF_DEAD(s, READING) || state_[s] == READY && (!BELOW(s) || late[s])))
#define OVER(s) (state_[s] == DONE || OF_DEAD(s, WRITING) || state_[s] == READY && BELOW(s) && !late[s])
#define BUSY(s, i) (IN(s) && (OF_LIVING(s, WRITING) || OF_LIVING(s, READING)) && WHO(state_[s]) != i)
#define WAITS(s) (MESSAGE(s) -> BIT(body[s]) & returned : 0)
#define THERE(s) (MESSAGE(s) || IN(s) && OF_LIVING(s, READING) -> BIT(body[s]) : 0)
#if CAP == 1
#define ANY(of, ...) of(0, ##__VA_ARGS__)
#define ALL(of) of(0)
#elif CAP == 2
#define ANY(of, ...) (of(0, ##__VA_ARGS__) || of(1, ##__VA_ARGS__))
#define ALL(of) (of(0) | of(1))
#else
#define ANY(of, ...) (of(0, ##__VA_ARGS__) || of(1, ##__VA_ARGS__) || of(2, ##__VA_ARGS__))
#define ALL(of) (of(0) | of(1) | of(2))
#endif

#define IS_FREE(e) (owner_of[e] == 0 || dead[owner_of[e]])
/* Waits for an end; `delayed`, or gives up waiting if `stop`. */
#define LOCK_END(e, delayed, stop, stopped) \
  if \
  :: atomic { IS_FREE(e) -> got = (owner_of[e] != 0); owner_of[e] = i } \
  :: atomic { !IS_FREE(e) -> skip }; \
     delayed; \
     if \
     :: atomic { IS_FREE(e) -> got = (owner_of[e] != 0); owner_of[e] = i } \
     :: atomic { !IS_FREE(e) && (stop) -> goto stopped } \
     :: atomic { kills > 0 -> kills--; goto die } \
     fi \
  :: atomic { kills > 0 -> kills--; goto die } \
  fi
#define UNLOCK_END(e) DO(owner_of[e] = 0)
#define IS_BARE (tail == take_ && head == take_)
/* How far a sender has looked when it decides whether there is room. */
#ifdef LATER_TAIL
#define LOOKED tail
#else
#define LOOKED seen_tail
#endif

/* survey.rs: standing. */
#define S_MESSAGE 1
#define S_BUSY 2
#define S_OVER 3
#ifdef ONE_LOOK
#define SECOND_LOOK skip
#else
#define SECOND_LOOK st = state_[AT(at)]
#endif
#ifdef VOID_NOT_SKIPPED
#define VOID S_BUSY
#else
#define VOID S_OVER
#endif
#ifdef LEASE_NOT_RETURNED
#define LEASE S_OVER
#else
#define LEASE S_MESSAGE
#endif
#define CLASSIFY(below) \
  what = (KIND(st) == READY -> ((below) && !late[AT(at)] -> S_OVER : S_MESSAGE) : \
         (KIND(st) == READING -> LEASE : (KIND(st) == WRITING -> VOID : S_OVER)))
#define STANDING(below) \
  DO(st = state_[AT(at)]; if :: KIND(st) == READY || st == DONE -> CLASSIFY(below) :: else -> what = 0 fi); \
  if \
  :: what == 0 -> \
     DO(if :: !dead[WHO(st)] -> what = S_BUSY :: else -> SECOND_LOOK; CLASSIFY(below) fi) \
  :: else \
  fi

#define ZONE 1
#define FRONT 2
inline survey() {
  DO(lives = 0; found = 0; h = head; at = head; joins = false; must = ALL(WAITS));
  do
  :: at == take_ -> break
  :: else ->
     STANDING(true);
     if
     :: what == S_OVER && at == h -> h++
     :: what == S_OVER && at != h -> if :: !joins -> DO(state_[AT(at)] = DONE); joins = true :: else fi
     :: what == S_MESSAGE -> joins = false; if :: !found -> found = ZONE; place = at :: else fi
     :: what == S_BUSY -> joins = false; lives = lives | BIT(WHO(st))
     fi;
     d_step { at++; st = 0; what = 0 }
  od;
  joins = false;
  DO(seen = tail);
  do
  :: found || at == seen -> break
  :: else ->
     STANDING(false);
     if
     :: what == S_MESSAGE -> found = FRONT; place = at
     :: what == S_BUSY -> lives = lives | BIT(WHO(st))
     :: what == S_OVER && at == take_ -> DO(if :: h == take_ -> h++ :: else fi; take_ = at + 1)
     :: what == S_OVER && at != take_ -> skip
     fi;
     d_step { at++; st = 0; what = 0 }
  od;
  freed = (h != head);
  if :: freed -> DO(head = h) :: else fi;
  d_step { h = 0; at = 0 }
}

#ifdef FREE_ONE
#define RING_FREED ring(FREED)
#else
#define RING_FREED RING(FREED, WAKE_BELLS(FREED))
#endif
#define EAT(m) assert(!(eaten & BIT(m))); eaten = eaten | BIT(m)
#define FORGET STALE(SENT); STALE(FREED); got = false; seen = 0; p = 0; lives = 0; found = 0; place = 0; freed = false; at = 0; h = 0; st = 0; what = 0; joins = false; armed = false

/* send.rs, waiting.rs: wait_for_room. */
proctype Sender(byte i) {
  byte r, m, seen, watched, p, lives, found, place, at, h, st, what; bool armed, got, repair, freed, joins, on_turn; byte seen_tail;
  atomic { started == i - 1 -> started = i };
  do
  :: r == (i == 1 -> FIRST : PUSHES) -> break
  :: else ->
     d_step { r++; m = (i - 1) * PUSHES + r; before[m] = returned };
     BEGIN;
     do
     :: LOCK_END(PRODUCER, skip, closed, gone);
        if :: got -> DO(if :: claimed > tail -> claimed = tail :: else fi); got = false :: else fi;
        DO(got = closed);
        if :: got -> UNLOCK_END(PRODUCER); goto gone :: else fi;
        DO(got = (tail - head < CAP));
        if
        :: got && IS_LARGE(m) ->
           DO(state_[AT(tail)] = WRITING | i; late[AT(tail)] = false; body[AT(tail)] = 0);
           DO(claimed = tail + 1);
           DO(place = tail; tail++; assert(!verdict))
        :: got && !IS_LARGE(m) ->
           DO(state_[AT(tail)] = READY; late[AT(tail)] = false; body[AT(tail)] = m);
           DO(tail++; landed = landed | BIT(m); assert(!verdict))
        :: else
        fi;
        UNLOCK_END(PRODUCER);
        if :: got -> break :: else fi;
        do
        :: arm(FREED);
           armed = true;
           DO(seen = take_; lives = 0; on_turn = false);
           DO(seen_tail = tail);
#ifndef NO_GIVE_BACK
           DO(got = (head != take_));
           if :: !got -> DO(got = (claimed > take_)) :: else fi;
#endif
           if
           :: got ->
              LOCK_END(CONSUMER, skip, closed, gone);
              survey();
              d_step { seen_tail = seen; on_turn = (head != take_); seen = (on_turn -> turn : take_); must = 0; found = 0; place = 0; got = false };
              UNLOCK_END(CONSUMER);
              if :: freed -> RING_FREED; freed = false :: else fi
           :: else
           fi;
           DO(got = (LOOKED - head < CAP || closed));
           if :: got -> break :: else fi;
#ifdef GIVE_UP
           if :: true :: STEP(WAKE_BELL(FREED)); goto gone fi;
#endif
#ifdef NO_LIVES
           lives = 0;
#endif
           ENQUEUE(FREED);
           if :: lives -> WATCH(lives, look) :: else fi;
           SAME(!closed, look);
#ifndef NO_TURN
           SAME((on_turn -> turn : take_) == seen, look);
#endif
           SAME_EVENT(FREED, look);
end_asleep:
           ASLEEP;
look:      AWAKE;
           if :: got -> WAKE_EVERYBODY :: else fi;
           d_step { got = false; seen = 0; lives = 0; on_turn = false; seen_tail = 0 }
        od;
        atomic { STALE(FREED); got = false; seen = 0; lives = 0; on_turn = false; seen_tail = 0 }
     od;
     got = false;
     if
     :: IS_LARGE(m) ->
#ifdef LAND_FIRST
        DO(state_[AT(place)] = READY; landed = landed | BIT(m); assert(!verdict));
        DO(body[AT(place)] = m)
#else
        DO(body[AT(place)] = m);
        DO(assert(state_[AT(place)] == (WRITING | i)); state_[AT(place)] = READY; landed = landed | BIT(m); assert(!verdict))
#endif
     :: else
     fi;
     ring(SENT);
     if :: armed -> DO(got = (tail - head < CAP)); if :: got -> RING_FREED :: else fi :: else fi;
     d_step { returned = returned | BIT(m); FORGET };
gone:
     END;
     d_step { FORGET; m = 0; on_turn = false; seen_tail = 0 }
  od;
#ifdef CLOSE
  if
  :: i == 1 ->
     BEGIN;
     DO(closed = true);
     WAKE_EVERYBODY;
     END
  :: else
  fi;
#endif
  goto end;
die:
  KERNEL_EXIT(skip);
  d_step { FORGET; m = 0; r = 0; on_turn = false; seen_tail = 0; watched = 0 };
end: skip
}

/* receive.rs. */
proctype Receiver(byte i) {
  byte r, m, seen, watched, p, lives, found, place, at, h, st, what; bool armed, got, repair, freed, joins, settled, was_closed, lends;
  atomic { started == i - 1 -> started = i };
  do
  :: r == TAKES -> break
  :: else ->
     r++;
     BEGIN;
     do
     :: DO(was_closed = closed; lives = 0; seen = tail);
        DO(got = !IS_BARE);
        if
        :: got ->
           LOCK_END(CONSUMER, if :: armed -> STEP(WAKE_BELL(SENT)) :: else fi, closed && IS_BARE, again);
           got = false;
           survey();
           if
           :: found ->
              /* pick */
              d_step {
                m = body[AT(place)]; assert(m != 0 && landed & BIT(m) && !(eaten & BIT(m))); assert(!(must & before[m])); must = 0;
#ifdef LEND
                lends = (i == NS + 1 || IS_LARGE(m))
#else
                lends = (IS_LARGE(m) != 0)
#endif
              };
              if
              :: found == ZONE ->
#ifndef NO_TURN
                 DO(turn++)
#else
                 skip
#endif
              :: else ->
                 at = take_;
#ifndef NO_LATE
                 do :: at != place -> DO(late[AT(at)] = true); at++ :: else -> break od;
#endif
                 if :: place != take_ -> DO(take_ = place) :: else fi;
                 at = 0
              fi;
              if
              :: lends -> DO(state_[AT(place)] = READING | i)
              :: else ->
                 if
                 :: found == ZONE || KIND(state_[AT(place)]) == READING -> DO(state_[AT(place)] = DONE; EAT(m); st = 1)
                 :: else
                 fi
              fi;
              if :: found == FRONT -> DO(take_ = place + 1; if :: !lends && !st -> EAT(m) :: else fi) :: else fi;
              st = 0;
              if
              :: !lends ->
                 d_step { h = head; at = head };
                 do
                 :: at == take_ -> break
                 :: else -> STANDING(true); if :: what == S_OVER -> d_step { at++; h++; st = 0; what = 0 } :: else -> break fi
                 od;
                 if :: h != head -> DO(head = h); freed = true :: else fi;
                 d_step { at = 0; h = 0; st = 0; what = 0 }
              :: else
              fi
           :: else -> must = 0
           fi;
           UNLOCK_END(CONSUMER);
           if :: freed -> RING_FREED; freed = false :: else fi;
           if
           :: found ->
#ifndef NO_CHAIN
              if :: armed -> DO(got = !IS_BARE); if :: got -> ring(SENT) :: else fi :: else fi;
#endif
              break
           :: else
           fi
        :: else
        fi;
        if
        :: was_closed && !settled ->
#ifndef NO_DRAIN
           DO(IS_FREE(PRODUCER) -> if :: owner_of[PRODUCER] && claimed > tail -> claimed = tail :: else fi; owner_of[PRODUCER] = 0);
#endif
           settled = true;
           goto again
        :: was_closed && settled && !(lives & ~BIT(i)) ->
           d_step { verdict = true; assert(!ANY(MESSAGE)) };
           goto gone
        :: else
        fi;
        if
        :: armed ->
#ifdef GIVE_UP
           if :: true :: STEP(WAKE_BELL(SENT)); goto gone fi;
#endif
#ifdef NO_LIVES
           lives = 0;
#endif
           ENQUEUE(SENT);
           if :: lives -> WATCH(lives, look) :: else fi;
           SAME(was_closed || !closed, look);
           SAME(tail == seen, look);
           SAME_EVENT(SENT, look);
end_asleep:
           ASLEEP;
look:      AWAKE;
           if :: got -> WAKE_EVERYBODY :: else fi
        :: else -> armed = true
        fi;
        d_step { got = false; seen = 0; lives = 0; was_closed = false };
        arm(SENT);
again:  atomic { got = false; seen = 0; lives = 0; was_closed = false; found = 0; place = 0 }
     od;
     atomic { got = false; seen = 0; lives = 0; was_closed = false; found = 0; armed = false; settled = false };
     if
     :: lends ->
#ifdef VIEW
        /* keep */
#ifndef NO_GUARDIAN
        ring(SENT);
#endif
        END;
        if
        :: skip
#ifdef PUT_BACK
        :: BEGIN;
           DO(late[AT(place)] = true);
           DO(assert(state_[AT(place)] == (READING | i)); state_[AT(place)] = READY);
#ifdef PUT_BACK_ONE
           ring(SENT);
#else
           DO(got = closed);
           if :: got -> wake_all_on(SENT) :: else -> ring(SENT) fi;
#endif
           goto gone
#endif
        :: goto keep
        fi;
        BEGIN;
#endif
        /* finish */
        DO(assert(state_[AT(place)] == (READING | i) && body[AT(place)] == m); state_[AT(place)] = DONE; EAT(m));
        d_step { place = 0; m = 0 };
        DO(if :: IS_FREE(CONSUMER) -> owner_of[CONSUMER] = i; got = true :: else fi);
        if
        :: got ->
           got = false;
           survey();
           d_step { must = 0; freed = false; found = 0; place = 0; lives = 0; seen = 0 };
           UNLOCK_END(CONSUMER)
        :: else
        fi;
        RING_FREED;
        DO(got = closed);
        if :: got -> wake_all_on(SENT) :: else fi
     :: else
     fi;
gone:
     END;
     d_step { FORGET; m = 0; settled = false; was_closed = false; lends = false }
  od;
  goto end;
#ifdef VIEW
keep:
end_hold:
  atomic { kills > 0 -> kills--; goto die };
#endif
die:
  KERNEL_EXIT(skip);
  d_step { FORGET; m = 0; r = 0; settled = false; was_closed = false; lends = false; watched = 0 };
end: skip
}

active proctype Watch() {
  byte q;
end:
  do
  :: timeout ->
     atomic {
       assert(!((landed & ~eaten) & ~ALL(THERE)));
       q = head;
       do :: q < tail && OVER(AT(q)) -> q++ :: else -> break od;
       assert(tail - q == CAP && !closed ||
         on_bell[1] != FREED + 1
#if NS > 1
         && on_bell[2] != FREED + 1
#endif
       );
       q = NS + 1;
       do
       :: q <= N -> assert(on_bell[q] != SENT + 1 || !ANY(MESSAGE) && (!closed || ANY(BUSY, q))); q++
       :: else -> break
       od
     };
     break
  od
}

init {
  atomic {
    DRAW_KILLS;
    run Sender(1);
#if NS > 1
    run Sender(2);
#endif
    run Receiver(NS + 1);
#if NR > 1
    run Receiver(NS + 2);
#endif
#if NR > 2
    run Receiver(NS + 3);
#endif
  }
}
