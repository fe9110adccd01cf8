//! The queues: which there are, how full, how fast.

use crate::observe::objects::{Objects, is_inner};
use crate::observe::report::Queue;
use crate::observe::tree::{Place, Tree};
use crate::queue::gauge::Gauge;
use crate::queue::work::core::WorkHead;
use crate::queue::work::{core, table::Holder};
use crate::queue::{byte_ring, ring_core};
use crate::shm::outside::RawRecord;
use std::any::type_name;
use std::collections::BTreeMap;

/// What an earlier look has found: sent, received.
pub(super) type Counts = BTreeMap<Place, (u64, u64)>;

/// Reads all queues that somebody maps, but those in pools. `before`: what a look so many seconds ago has counted.
pub(super) fn read(
    tree: &Tree,
    objects: &Objects,
    pools: &[Place],
    before: Option<(&Counts, f64)>,
) -> (Vec<Queue>, Counts) {
    let (mut queues, mut counts) = (Vec::new(), Counts::new());
    for (place, record) in objects.iter() {
        let is_pools = pools.iter().any(|pool| pool.0 == place.0);
        let Some(gauge) = gauge(tree, objects, place, record).filter(|_| !is_pools) else {
            continue;
        };
        counts.insert(place, (gauge.sent, gauge.received));
        let rate = |now: u64, then: fn(&(u64, u64)) -> u64| {
            let (counts, seconds) = before?;
            let passed = now.wrapping_sub(then(counts.get(&place)?));
            let passed = if gauge.is_narrow { u64::from(passed as u32) } else { passed };
            (seconds > 0.0).then(|| passed as f64 / seconds)
        };
        queues.push(Queue {
            object: objects.at(place),
            depth: gauge.depth(),
            capacity: gauge.capacity,
            used_bytes: gauge.used_bytes,
            capacity_bytes: gauge.capacity_bytes,
            leased: gauge.leased,
            dead_letters: gauge.dead,
            sent: gauge.sent,
            received: gauge.received,
            sent_per_s: rate(gauge.sent, |counts| counts.0),
            received_per_s: rate(gauge.received, |counts| counts.1),
            is_closed: gauge.is_closed,
        });
    }
    queues.sort_by(|a, b| a.object.cmp(&b.object));
    (queues, counts)
}

fn gauge(tree: &Tree, objects: &Objects, place: Place, record: &RawRecord) -> Option<Gauge> {
    let is = |path| is_inner(&record.type_name, path);
    let bytes = || tree.read(place, usize::try_from(record.bytes).ok()?);
    if is("queue::ring_core::RingCore") {
        Some(ring_core::gauge(&bytes()?))
    } else if is("queue::byte_ring::ByteCore") {
        Some(byte_ring::gauge(&bytes()?))
    } else if record.type_name == type_name::<WorkHead>() {
        let gauge = core::gauge(&bytes()?);
        // There are as many holders as places for items.
        let holders = objects.behind(place, type_name::<Holder>());
        Some(Gauge { capacity: holders.map(|(_, holders)| holders.count), ..gauge })
    } else {
        None
    }
}
