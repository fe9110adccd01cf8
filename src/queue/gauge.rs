//! What an outsider reads of a queue: numbers out of a copy of its words, which may be torn. The operations do not know of it.

/// A queue's numbers. Those that are not there are the kind's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauge {
    /// How many messages were sent, and received or delivered, since the beginning.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// These two count modulo 2^32.
    pub(crate) is_narrow: bool,
    pub(crate) capacity: Option<u64>,
    pub(crate) used_bytes: Option<u64>,
    pub(crate) capacity_bytes: Option<u64>,
    /// Items on delivery, and dead letters.
    pub(crate) leased: Option<u64>,
    pub(crate) dead: Option<u64>,
    pub(crate) is_closed: bool,
}

impl Gauge {
    /// How many messages are in it. The copy may be torn: never less than none, or more than fit.
    pub(crate) fn depth(&self) -> u64 {
        let depth = match self.is_narrow {
            true => u64::from((self.sent as u32).wrapping_sub(self.received as u32)),
            false => self.sent.wrapping_sub(self.received),
        };
        // A receive between the two looks leaves a little less than nothing.
        let top = if self.is_narrow { u64::from(u32::MAX) } else { u64::MAX };
        if depth > top / 2 { 0 } else { depth.min(self.capacity.unwrap_or(u64::MAX)) }
    }
}

/// Eight bytes of a copy; 0 where it is too short.
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_ne_bytes)
}

/// Four bytes of a copy; 0 where it is too short.
pub(crate) fn half(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_ne_bytes)
}
