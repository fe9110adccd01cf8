//! The slow look by the owner of the consumer end: what is there to receive, what can be given back, who is at work.

use super::record::{DONE, Header, Mark, READING, READY, WRITING, holder, kind, units_for};
use super::{ByteRing, Records, UNIT_BYTES};
use crate::prim::Ordering;
use crate::sync::kernel::{Kernel, LIVES_MAX};

/// Those who were seen writing or reading: a sleeper watches their lives.
#[derive(Debug)]
pub(super) struct Lives {
    ids: [u32; LIVES_MAX],
    count: usize,
    /// There were more.
    pub(super) overflow: bool,
}

impl Lives {
    pub(super) const fn new() -> Lives {
        Lives { ids: [0; LIVES_MAX], count: 0, overflow: false }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.overflow = false;
    }

    fn push(&mut self, id: u32) {
        if self.ids().last() == Some(&id) {
            return;
        }
        match self.ids.get_mut(self.count) {
            Some(place) => *place = id,
            None => return self.overflow = true,
        }
        self.count += 1;
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.count]
    }

    /// Whether somebody other than `me` is at work.
    pub(super) fn has_others(&self, me: u32) -> bool {
        self.overflow || self.ids().iter().any(|&id| id != me)
    }
}

/// Where the message lies that is to be received next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the zone.
    Zone(u32),
    /// Not yet taken: at `take`, or behind those that are being written.
    Front(Mark),
}

/// What a survey found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) found: Option<Place>,
    /// `head` has moved.
    pub(super) freed: bool,
    /// The tail that was looked at.
    pub(super) tail: Mark,
}

/// What a record is to a receiver.
enum Standing {
    Message,
    Busy(u32),
    Over,
}

impl<R: Records> ByteRing<'_, R> {
    /// By the owner of the consumer end: looks through the zone and what is not taken, frees what is over at the front, and joins
    /// what is over behind something lent (so that the zone stays short). Nothing that is a message changes.
    #[cold]
    pub(super) fn survey<K: Kernel>(self, kernel: &K, lives: &mut Lives) -> Survey {
        lives.clear();
        let consumer = &self.core.consumer;
        let mut take = Mark(consumer.take.load(Ordering::Relaxed));
        let start = self.core.head.0.load(Ordering::Relaxed) as u32;
        let (mut head, mut at, mut run, mut found) = (start, start, None::<u32>, None);
        while at != take.units() {
            let header = self.records.header(at);
            let next = at.wrapping_add(self.units_at(at, take.units()));
            match standing(kernel, header, true) {
                Standing::Over if at == head => head = next,
                Standing::Over => match run {
                    Some(first) => {
                        let units = u64::from(next.wrapping_sub(first) - 1);
                        let first = self.records.header(first);
                        first.bytes.store(units * UNIT_BYTES, Ordering::Relaxed);
                    }
                    None => {
                        header.state.store(DONE, Ordering::Relaxed);
                        run = Some(at);
                    }
                },
                Standing::Message => {
                    found = found.or(Some(Place::Zone(at)));
                    run = None;
                }
                Standing::Busy(id) => {
                    lives.push(id);
                    run = None;
                }
            }
            at = next;
        }
        let tail = self.tail();
        consumer.seen.store(tail.0, Ordering::Relaxed);
        let mut front = take;
        while found.is_none() && front != tail {
            let next = front.past(self.units_at(front.units(), tail.units()));
            match standing(kernel, self.records.header(front.units()), false) {
                Standing::Message => found = Some(Place::Front(front)),
                Standing::Busy(id) => lives.push(id),
                // What is void need not wait until somebody receives.
                Standing::Over if front == take => {
                    consumer.take.store(next.0, Ordering::Release);
                    if head == take.units() {
                        head = next.units();
                    }
                    take = next;
                }
                Standing::Over => {}
            }
            front = next;
        }
        if head != start {
            // Release: the copies out of what is free now are over, and were seen to be.
            self.core.head.0.store(u64::from(head), Ordering::Release);
        }
        Survey { found, freed: head != start, tail }
    }

    /// By the owner of the consumer end: frees what is over at the front of the zone; whether that was anything.
    pub(super) fn free_front<K: Kernel>(self, kernel: &K) -> bool {
        let take = Mark(self.core.consumer.take.load(Ordering::Relaxed)).units();
        let start = self.core.head.0.load(Ordering::Relaxed) as u32;
        let mut head = start;
        while head != take
            && matches!(standing(kernel, self.records.header(head), true), Standing::Over)
        {
            head = head.wrapping_add(self.units_at(head, take));
        }
        if head != start {
            self.core.head.0.store(u64::from(head), Ordering::Release);
        }
        head != start
    }

    /// How many units the record takes; it ends at `limit` at the latest.
    pub(super) fn units_at(self, at: u32, limit: u32) -> u32 {
        let bytes = self.records.header(at).bytes.load(Ordering::Relaxed);
        match units_for(bytes) {
            Some(units) if units <= limit.wrapping_sub(at) => units,
            _ => self.records.broken(),
        }
    }

    /// How many messages there are, with the consumer end held, or while nobody can take any.
    pub(super) fn count<K: Kernel>(self, kernel: &K) -> u64 {
        let take = self.taken();
        let tail = self.tail();
        let mut count = 0;
        let mut at = self.head();
        while at != tail.units() {
            let below = at != take.units()
                && take.units().wrapping_sub(at) <= self.core.common.units
                && take.units().wrapping_sub(at) != 0;
            let standing = standing(kernel, self.records.header(at), below);
            count += u64::from(matches!(standing, Standing::Message));
            at = at.wrapping_add(self.units_at(at, tail.units()));
        }
        count
    }
}

fn standing<K: Kernel>(kernel: &K, header: &Header, below_take: bool) -> Standing {
    // Acquire: a message that is READY is whole, of one that is DONE all reads are over.
    let mut state = header.state.load(Ordering::Acquire);
    if matches!(kind(state), WRITING | READING) {
        if !kernel.is_dead(holder(state)) {
            return Standing::Busy(holder(state));
        }
        // It may have come to its end before it died.
        if !mutant!("msg-one-look") {
            state = header.state.load(Ordering::Acquire);
        }
    }
    match kind(state) {
        READY if below_take && header.late.load(Ordering::Relaxed) == 0 => Standing::Over,
        READY => Standing::Message,
        READING if mutant!("msg-lease-not-returned") => Standing::Over,
        READING => Standing::Message,
        WRITING if mutant!("msg-void-not-skipped") => Standing::Busy(holder(state)),
        _ => Standing::Over,
    }
}
