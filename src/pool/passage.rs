//! A supervisor that is born by a fork server: it is a child of the client, but with memory as of the server's start. So what a fork of
//! the client would have given it, the shop and the plan, is handed over with the order for it.
//!
//! | what | how it travels |
//! |---|---|
//! | slots, ring, seats, morgue | the region's memfd, and where in it each lies. Nothing in there is an address of the data kind |
//! | big payloads, reports | the sheet's memfd |
//! | the bells | the eventfds |
//! | the plan | encoded |
//! | initialiser and jobs | the address of their code: all are one program |
//! | roster | not at all: the server has it from the client, whose first act was to make one |
//!
//! Sleepers and wakers meet although the region lies elsewhere here and there: the kernel knows a shared word by its file and its place
//! in that, and the roster's alarms by the low bits of its address, which are the same (`Region::portable`). Workers are forks of the
//! supervisor, and have all of that as it has it.

#![expect(
    unsafe_code,
    reason = "finds values in a region, and functions, where the client says that they are"
)]

use crate::error::{Error, ErrorKind, Result};
use crate::pool::annex::Annex;
use crate::pool::job;
use crate::pool::plan::{Initializer, Plan};
use crate::pool::shop::{MORGUE, Shop, Stock};
use crate::pool::supervisor::supervise;
use crate::process::{Builder, Child, ForkServer};
use crate::shm::Region;
use crate::sys::Errno;
use crate::sys::eventfd::Bell;
use crate::sys::procfs;
use crate::sys::sheet::Sheet;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the supervisor is told.
#[derive(Serialize, Deserialize)]
struct Order {
    plan: Plan,
    /// The address of its code.
    initializer: Option<u64>,
    stock: Stock,
    places: Places,
}

/// Where in the region things are.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Places {
    head: usize,
    ring: usize,
    entries: usize,
    seats: usize,
    slots: usize,
    morgue: usize,
}

/// Opens a shop whose supervisor is a child that `server` forks. `builder` names it.
pub(super) fn open(
    server: &ForkServer,
    builder: Builder,
    plan: &Plan,
    stock: Stock,
    workers: usize,
) -> Result<(Arc<Shop>, Child<()>)> {
    let initializer = match &plan.initializer {
        None => None,
        Some(Initializer::Plain(f)) => Some(job::address_of_function(*f)),
        Some(Initializer::Captures(_)) => {
            let detail = "its initializer captures something, which the fork server, being an earlier copy of this process, does not \
                          have; with one, an initializer is a function or a closure that captures nothing";
            return Err(Error::new(ErrorKind::InvalidInput, "start", plan.name.clone(), detail));
        }
    };
    let (region, file) = Region::portable(stock.bytes())?;
    let shop = Shop::furnish(&region, stock, workers, &plan.name)?;
    let places = Places {
        head: region.offset_of(&shop.head),
        ring: region.offset_of(&shop.ring),
        entries: region.offset_of(&shop.entries),
        seats: region.offset_of(&shop.seats),
        slots: region.offset_of(&shop.slots),
        morgue: region.offset_of(&shop.morgue),
    };
    let order = Order { plan: plan.clone(), initializer, stock, places };
    // Strings and numbers always encode.
    let bytes = postcard::to_stdvec(&order).unwrap_or_default();
    let fds = [file.as_fd(), shop.annex.as_fd(), shop.bell.as_fd(), shop.told.as_fd()];
    let supervisor = server.start_child(builder, enter, &bytes, &fds)?;
    Ok((Arc::new(shop), supervisor))
}

/// The supervisor's life.
fn enter(bytes: &[u8], fds: Vec<OwnedFd>) {
    let order: Order = postcard::from_bytes(bytes).expect("an order by this program");
    let shop = order.find_shop(fds).unwrap_or_else(|error| panic!("{error}"));
    let code = Code::of_this_process();
    code.write(&shop);
    let mut plan = order.plan;
    if let Some(address) = order.initializer {
        if !code.has(address) {
            // The client sees that it has gone without having sat, and reads why.
            return;
        }
        // SAFETY: the client wrote it from a function of its own. This process is a copy of an earlier client, and has code there.
        plan.initializer = Some(Initializer::Plain(unsafe { job::function_at(address) }));
    }
    supervise(&Arc::new(shop), &Arc::new(plan));
}

impl Order {
    fn find_shop(&self, fds: Vec<OwnedFd>) -> Result<Shop> {
        let Ok([file, sheet, bell, told]) = <[OwnedFd; 4]>::try_from(fds) else {
            return Err(Error::os("open", "a pool", Errno::EBADF));
        };
        let (stock, places) = (self.stock, self.places);
        let region = Region::arrived(&file, stock.bytes())?;
        // SAFETY: the client has placed it there, in the same version of this program.
        let head = unsafe { region.found(places.head, 1) };
        // SAFETY: as above.
        let ring = unsafe { region.found(places.ring, 1) };
        Ok(Shop {
            head: head.into_first(),
            ring: ring.into_first(),
            // SAFETY: as above.
            entries: unsafe { region.found(places.entries, stock.entries) },
            // SAFETY: as above.
            seats: unsafe { region.found(places.seats, stock.seats) },
            // SAFETY: as above.
            slots: unsafe { region.found(places.slots, stock.slots) },
            // SAFETY: as above.
            morgue: unsafe { region.found(places.morgue, MORGUE) },
            annex: Annex::new(Sheet::from_fd(sheet)),
            bell: Bell::from_fd(bell),
            told: Bell::from_fd(told),
        })
    }
}

/// Where the workers have code: a library that the client has loaded since the server's start is not there.
#[derive(Debug)]
pub(super) struct Code(Vec<Range<u64>>);

impl Code {
    /// Of workers that are forks of the client, or nobody can say.
    pub(super) const fn everywhere() -> Code {
        Code(Vec::new())
    }

    #[cfg(feature = "kill-matrix")]
    pub(super) fn nowhere() -> Code {
        Code(Vec::from([const { 0..0 }]))
    }

    fn of_this_process() -> Code {
        let ranges = procfs::code_ranges().unwrap_or_default();
        let ranges = ranges.into_iter().map(|range| range.start as u64..range.end as u64);
        let mut code = Code(ranges.collect());
        // This program itself first, where most functions are.
        let own = enter as *const () as usize as u64;
        code.0.sort_by_key(|range| !range.contains(&own));
        code
    }

    /// Whether there is code at this address.
    #[inline]
    pub(super) fn has(&self, address: u64) -> bool {
        self.0.is_empty() || self.lists(address)
    }

    #[inline(never)]
    fn lists(&self, address: u64) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// Leaves the list in the pool's file, where there may be one.
    fn write(&self, shop: &Shop) {
        let bytes = postcard::to_stdvec(&self.0).unwrap_or_default();
        let length = shop.annex.write_code(&bytes).map_or(0, |()| bytes.len() as u32);
        shop.head.code_bytes.store(length, Ordering::Release);
    }

    /// What the supervisor has left, once it sits or is gone.
    pub(super) fn read(shop: &Shop) -> Code {
        let mut bytes = vec![0; shop.head.code_bytes.load(Ordering::Acquire) as usize];
        match shop.annex.read_code(&mut bytes) {
            Ok(()) => Code(postcard::from_bytes(&bytes).unwrap_or_default()),
            Err(_) => Code::everywhere(),
        }
    }
}

/// Why a function is refused that the workers do not have.
pub(super) const NO_CODE: &str = "the function is not where it was when the fork server started: in a library that was loaded later?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_code_and_data_is_not() {
        static DATA: u8 = 1;
        let code = Code::of_this_process();
        assert!(code.has(enter as *const () as usize as u64));
        assert!(code.has(procfs::code_ranges as *const () as usize as u64));
        assert!(!code.has((&raw const DATA).addr() as u64) && !code.has(0));
        assert!(Code::everywhere().has(0));
    }
}
