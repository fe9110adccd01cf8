//! Which object lies at a place, and what it is called.

use crate::observe::report::Object;
use crate::observe::tree::{Member, Place};
use crate::shm::outside::{self, RECORD_BYTES, RawHeader, RawRecord};
use std::collections::BTreeMap;

/// What has been placed, as far as the catalogue remembers.
#[derive(Debug)]
pub(super) struct Objects {
    records: BTreeMap<Place, RawRecord>,
}

impl Objects {
    pub(super) fn read(member: &Member, header: RawHeader) -> Objects {
        let mut records: BTreeMap<Place, RawRecord> = BTreeMap::new();
        for (offset, count) in outside::records_offsets().into_iter().zip(header.records) {
            let bytes = member.roster_bytes(offset, count * RECORD_BYTES).unwrap_or_default();
            for record in bytes.chunks_exact(RECORD_BYTES).filter_map(outside::record) {
                // Those with a name come second.
                records.insert((record.file, record.offset), record);
            }
        }
        Objects { records }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &RawRecord)> {
        self.records.iter().map(|(&place, record)| (place, record))
    }

    /// The next record of a type in the same file.
    pub(super) fn behind(&self, place: Place, type_name: &str) -> Option<(Place, &RawRecord)> {
        let mut rest = self.records.range(place..(place.0, u64::MAX));
        rest.find(|(_, record)| record.type_name == type_name)
            .map(|(&place, record)| (place, record))
    }

    /// What lies here.
    pub(super) fn at(&self, place: Place) -> Object {
        let before = self.records.range(..=place).next_back();
        let record = before.filter(|(start, record)| {
            start.0 == place.0 && place.1 < start.1.saturating_add(record.bytes)
        });
        let Some((start, record)) = record else {
            let name = match place {
                (0, address) => format!("{address:#x}"),
                (file, offset) => format!("{file}+{offset}"),
            };
            return Object { name, type_name: String::new(), place };
        };
        let type_name = short(&record.type_name);
        let mut name = record.name.clone();
        let mut of = *start;
        if record.count > 1 {
            let index = (place.1 - start.1) / (record.bytes / record.count).max(1);
            of = (start.0, start.1 + index * (record.bytes / record.count));
            if !name.is_empty() {
                name = format!("{name}[{index}]");
            }
        }
        if name.is_empty() {
            name = format!("{type_name} {}+{}", of.0, of.1);
        }
        // One of several things in a struct of the user's.
        let inside = place.1 - of.1;
        if inside != 0 && !record.type_name.starts_with("offspring::") {
            name = format!("{name}+{inside}");
        }
        Object { name, type_name, place: of }
    }
}

/// Whether a type's name is this one of ours.
pub(super) fn is_inner(type_name: &str, path: &str) -> bool {
    type_name.strip_prefix("offspring::").is_some_and(|rest| rest == path)
}

/// A type's name without paths: `Mutex<u64>`; what the crate calls its own cores is called what users call it.
pub(super) fn short(type_name: &str) -> String {
    let short = outside::without_paths(type_name);
    match short.as_str() {
        "RingCore" => "RingQueue".to_owned(),
        "ByteCore" => "Queue".to_owned(),
        "WorkHead" => "WorkQueue".to_owned(),
        "Head" if is_inner(type_name, "pool::shop::Head") => "Pool".to_owned(),
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn paths_are_left_out() {
        assert_eq!(short("offspring::sync::mutex::Mutex<[u64; 4]>"), "Mutex<[u64; 4]>");
        assert_eq!(short("a::B<c::D<e::F>, g::H>"), "B<D<F>, H>");
        assert_eq!(short("offspring::queue::ring_core::RingCore"), "RingQueue");
        assert_eq!(short("offspring::pool::shop::Head"), "Pool");
        assert_eq!(short(""), "");
    }
}
