//! The pools: who sits where and does what, and how the last ones ended.

use crate::observe::objects::{Objects, is_inner};
use crate::observe::report::{Death, Pool, Seat};
use crate::observe::threads::Threads;
use crate::observe::tree::{Place, Tree};
use crate::pool::outside::{self, HEAD_BYTES, RawSeat, SEAT_BYTES, SLOT_BYTES};
use crate::queue::ring_core;
use std::collections::BTreeMap;

const HEAD: &str = "pool::shop::Head";
const SEAT: &str = "offspring::pool::shop::Seat";
const SLOT: &str = "offspring::pool::slot::Slot";
const RING: &str = "offspring::queue::ring_core::RingCore";
/// More than a pool can have; what is read may be nonsense.
const SEATS_MAX: u32 = 1 << 16;

/// Reads all pools that somebody maps.
pub(super) fn read(tree: &Tree, objects: &Objects, threads: &Threads) -> BTreeMap<Place, Pool> {
    let heads = objects.iter().filter(|(_, record)| is_inner(&record.type_name, HEAD));
    heads.filter_map(|(place, _)| Some((place, pool(tree, objects, threads, place)?))).collect()
}

fn pool(tree: &Tree, objects: &Objects, threads: &Threads, place: Place) -> Option<Pool> {
    let raw = outside::head(&tree.read(place, HEAD_BYTES)?);
    let (ring, record) = objects.behind(place, RING)?;
    let queued = ring_core::gauge(&tree.read(ring, record.bytes as usize)?).depth();
    let (first_seat, _) = objects.behind(place, SEAT)?;
    let (first_slot, slots) = objects.behind(place, SLOT)?;
    let used = raw.seats_used.min(SEATS_MAX) as usize;
    let bytes = tree.read(first_seat, used * SEAT_BYTES)?;
    let seat = |bytes| {
        let raw: RawSeat = outside::seat(bytes);
        let worker = threads.holder(raw.worker).filter(|worker| worker.is_alive);
        let slot = raw.slot.filter(|&slot| u64::from(slot) < slots.count && raw.is_busy);
        let task = slot.filter(|_| worker.is_some()).and_then(|slot| {
            let at = first_slot.1 + u64::from(slot) * SLOT_BYTES as u64;
            let (holder, attempt) = outside::running(&tree.read((first_slot.0, at), SLOT_BYTES)?)?;
            (holder == raw.worker & ((1 << 30) - 1)).then_some((slot, attempt))
        });
        Seat {
            worker,
            task: task.map(|(slot, _)| slot),
            attempt: task.map(|(_, attempt)| attempt),
            ends: raw.ends,
            last_death: raw.last_end.map(|(id, exit)| {
                let who = threads.holder(id);
                Death {
                    pid: who.as_ref().map(|who| who.pid),
                    name: who.map(|who| who.name),
                    how: exit.map_or("in a way that nobody knows".to_owned(), |e| e.to_string()),
                }
            }),
        }
    };
    Some(Pool {
        object: objects.at(place),
        stage: raw.stage,
        has_failed: raw.has_failed,
        supervisor: threads.holder(raw.supervisor).filter(|supervisor| supervisor.is_alive),
        target: raw.target,
        living: raw.living,
        queued,
        restarts: raw.replaced,
        seats: bytes.chunks_exact(SEAT_BYTES).map(seat).collect(),
    })
}
