//! The cells of all children of one process: a sheet of shared memory, cut into cells, reused from child to child.
//!
//! A process makes its board at its first spawn and keeps it: making shared memory for each child would be dearer than a
//! page that stays. It grows by a chunk when more children live at once than ever before, and never shrinks. A child inherits
//! its parent's board to report on, and makes one of its own for its own children.
//!
//! Invariant **B1**: an index is in `free`, or one [`Cell`] holds it, never both.

#![expect(unsafe_code, reason = "cuts a mapping into cells")]

use crate::process::outcome::{CELL_BYTES, Cell, Head};
use crate::sys::Errno;
use crate::sys::memory::page_bytes;
use crate::sys::sheet::{Sheet, Window};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many bytes a board grows by, where pages are not bigger.
const CHUNK_BYTES: usize = 16 * 1024;

/// A process's cells.
pub(super) struct Board {
    /// The process that gives out the cells.
    owner: u32,
    sheet: Sheet,
    stock: Mutex<Stock>,
}

struct Stock {
    /// Mapped one behind the other in the file, each where the kernel put it.
    chunks: Vec<Window>,
    /// Indices of cells that nobody holds.
    free: Vec<u32>,
}

impl Board {
    /// An empty board of the process `owner`.
    pub(super) fn new(owner: u32) -> Result<Board, Errno> {
        let stock = Stock { chunks: Vec::new(), free: Vec::new() };
        Ok(Board { owner, sheet: Sheet::new()?, stock: Mutex::new(stock) })
    }

    /// Takes a cell, in the stage RUNNING.
    pub(super) fn take(self: &Arc<Self>) -> Result<Cell, Errno> {
        let mut stock = self.stock();
        if stock.free.is_empty() {
            self.grow(&mut stock)?;
        }
        let index = stock.free.pop().ok_or(Errno::ENOMEM)?;
        let cell = self.cell(&stock, index)?;
        cell.begin();
        Ok(cell)
    }

    /// In a copy of the process that owns the board: the cell that the owner took for a child that is to be forked here. The owner
    /// may have mapped chunks since the copy was made; they are mapped here now, for all children to come.
    pub(super) fn attach(self: &Arc<Self>, index: u32) -> Result<Cell, Errno> {
        let mut stock = self.stock();
        while stock.chunks.len() <= (index / cells_per_chunk()) as usize {
            let window = self.map_chunk(stock.chunks.len() as u32)?;
            stock.chunks.push(window);
        }
        self.cell(&stock, index)
    }

    /// The cell with this index, which was free (B1), or in a copy of the owner is free no longer.
    fn cell(self: &Arc<Self>, stock: &Stock, index: u32) -> Result<Cell, Errno> {
        let (chunk, place) = (index / cells_per_chunk(), index % cells_per_chunk());
        let base = stock.chunks.get(chunk as usize).ok_or(Errno::EFAULT)?.base();
        // SAFETY: `place` is below the number of cells in a chunk.
        let head = unsafe { base.add(place as usize * CELL_BYTES) }.cast::<Head>();
        let head = NonNull::new(head).ok_or(Errno::EFAULT)?;
        // SAFETY: the chunk is mapped as long as the board lives, and page-aligned; the owner has given the index to this child.
        Ok(unsafe { Cell::new(head, index, Arc::clone(self)) })
    }

    /// The file behind the cells.
    pub(super) fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// Whether this process gives out the cells, and is no copy of the one that does.
    pub(super) fn is_own(&self) -> bool {
        crate::sys::signal::pid() == self.owner
    }

    /// Takes back the index of a dropped cell.
    pub(super) fn give_back(&self, index: u32) {
        self.stock().free.push(index);
    }

    fn grow(&self, stock: &mut Stock) -> Result<(), Errno> {
        let count = u32::try_from(stock.chunks.len()).map_err(|_| Errno::ENOMEM)?;
        stock.chunks.push(self.map_chunk(count)?);
        let first = count * cells_per_chunk();
        stock.free.extend((first..first + cells_per_chunk()).rev());
        Ok(())
    }

    fn map_chunk(&self, number: u32) -> Result<Window, Errno> {
        let bytes = chunk_bytes();
        self.sheet.map_shared(u64::from(number) * bytes as u64, bytes)
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn chunk_bytes() -> usize {
    page_bytes().max(CHUNK_BYTES)
}

fn cells_per_chunk() -> u32 {
    (chunk_bytes() / CELL_BYTES) as u32
}
