//! For the kill matrix: a parallel call that forks nobody. Its workers are processes of a scenario; what the caller does when they
//! have ended is done by whoever gathers.

use crate::error::{Error, Result};
use crate::par::crew::{self, Staff, Take};
use crate::par::error::ParError;
use crate::par::map::{Map, MapPlain, decode, settle, settle_plain};
use crate::par::plan::Plan;
use crate::par::slots::Slots;
use crate::par::table::Table;
use crate::par::worker::{Job, Office};
use crate::process::Builder;
use crate::sys::sheet::Sheet;

/// What an item gives.
type Pair = [u64; 2];

/// See the top of the file. The items are the numbers from 0.
#[doc(hidden)]
pub struct Rehearsal {
    items: Vec<usize>,
    plan: Plan,
    table: Table,
    sheet: Sheet,
    /// For plain results; else they go by the sheet.
    slots: Option<Slots<Pair>>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// So many items in chunks of `chunk`, for at most so many workers.
    pub fn new(items: usize, chunk: usize, workers: usize, is_plain: bool) -> Result<Rehearsal> {
        let plan = Plan::new(items, workers, Some(chunk));
        let table = Table::new(plan.chunks(), workers)?;
        let sheet = Sheet::new().map_err(|errno| Error::os("create", "a sheet", errno))?;
        let slots = if is_plain { Some(Slots::new(items)?) } else { None };
        Ok(Rehearsal { items: (0..items).collect(), plan, table, sheet, slots })
    }

    fn office(&self) -> Office<'_> {
        Office { plan: &self.plan, table: &self.table, sheet: &self.sheet }
    }

    /// The life of the worker in `seat`, the first there.
    pub fn work(&self, seat: usize, f: impl Fn(&usize) -> Pair) {
        let items = &self.items;
        match &self.slots {
            None => self.live(seat, &Map { items, f }),
            Some(slots) => self.live(seat, &MapPlain { items, f, slots }),
        }
    }

    fn live(&self, seat: usize, job: &dyn Job) {
        self.office().work(seat as u32 + 1, seat, job).expect("there is room in the file");
    }

    /// What the caller does when the workers of the first seats have ended: `died` tells how. One more takes their place.
    pub fn gather(
        &self,
        died: &[bool],
        f: impl Fn(&usize) -> Pair,
    ) -> std::result::Result<Vec<Pair>, ParError<Pair>> {
        let items = &self.items;
        match &self.slots {
            None => {
                let mut results = vec![None; items.len()];
                let harvest = self.take_over(died, &Map { items, f }, &mut |item, bytes| {
                    results[item] = Some(decode(bytes)?);
                    Ok(())
                });
                settle(harvest, &self.plan, results)
            }
            Some(slots) => {
                let job = MapPlain { items, f, slots };
                let harvest = self.take_over(died, &job, &mut |_, _| Ok(()));
                settle_plain(harvest, &self.plan, slots, items.len())
            }
        }
    }

    fn take_over(&self, died: &[bool], job: &dyn Job, take: &mut Take<'_>) -> crew::Harvest {
        let staff = Staff { workers: 1, caller_works: true, builder: Builder::new() };
        crew::take_over(self.office(), job, &staff, died, take)
    }
}
