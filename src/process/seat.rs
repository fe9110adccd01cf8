//! The child's side of a spawn: from the fork to `_exit`.
//!
//! The order of the set-up, each step with what goes wrong if it came later:
//!
//! 1. **Leash.** Whatever comes next can take long or hang; from here on a dead parent takes the child with it.
//! 2. **Seat** noted in the family, whose lock is released: everything below may spawn, or ask `current()`.
//! 3. **Roster name.** Hooks may take locks, and a dead owner should have its name. **Last words**: from here on what is logged is
//!    kept for the post-mortem, and so is a fault.
//! 4. **Ends of pipes** that are not this child's are let go: from here on user code runs, which may open descriptors, or wait for
//!    an end of stream.
//! 5. **The program's hooks**, then **the closure**, under one `catch_unwind`.
//! 6. **Encode** the result under it too (serde code is the user's), then **flush**, then **say** it in the cell, then
//!    **`_exit`**: a result that is said has also been printed for.
//!
//! Two things are in place already, put there by the parent before the fork and taken away there after it: the **exit guard**
//! (a hook or the closure may call `exit`; it reports the code and skips the handlers that the parent registered) and the
//! **panic hook** (a panic is to be reported, not printed).
//!
//! Signals: this crate sets no mask, and no handlers but those of faults, in children (`sys/fault.rs`), so there is none to reset; a child
//! inherits those of the thread that forked it, and what is pending is not inherited.
//!
//! An empty child's cost is that of the pages it touches first, in code as in data (1 to 3 µs each), so this file allocates
//! nothing and calls little before the closure; what can be done in the parent before the fork is done there.
//!
//! Nothing here returns or unwinds into the caller's frames: they belong to the parent, and so does what they would drop.

#![expect(unsafe_code, reason = "borrows the child's last frames for its whole life")]

use crate::process::bequest::Bequest;
use crate::process::family::{self, Family};
use crate::process::hooks;
use crate::process::lifeline::Leash;
use crate::process::outcome::{Cell, PayloadWriter, Stage};
use crate::process::panic::{self, ProcessInfo};
use crate::shm::roster;
use crate::sys::fork::{self, ExitGuard};
use crate::sys::{Errno, signal, stdio};
use serde::Serialize;
use std::any::Any;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;

/// Exit code of a child whose closure panicked, as of a Rust program that panics.
const PANICKED: i32 = 101;
/// Exit code of a child that could not deliver its result, or not be set up.
const FAILED: i32 = 1;

/// Where a child sits: what it was given for its life and its report.
pub(super) struct Seat {
    pub(super) process: ProcessInfo,
    pub(super) parent: ProcessInfo,
    pub(super) cell: Cell,
    pub(super) leash: Leash,
}

/// Ends the process if code of this module unwinds by mistake.
struct NoWayBack;

impl Drop for NoWayBack {
    fn drop(&mut self) {
        fork::exit_now(PANICKED);
    }
}

impl Seat {
    /// Lives the child's life. `family` is the lock that the parent held across the fork.
    pub(super) fn run<F, R>(&self, family: MutexGuard<'_, Family>, bequest: Bequest, body: F) -> !
    where
        F: FnOnce() -> R,
        R: Serialize,
    {
        self.take(family, bequest);
        self.live(|| {
            hooks::run_all();
            Ok(body())
        })
    }

    /// The same for a child of a fork server, whose `body` may find that it does not understand its arguments.
    pub(super) fn run_ordered<F, R>(&self, family: MutexGuard<'_, Family>, body: F) -> !
    where
        F: FnOnce() -> Result<R, String>,
        R: Serialize,
    {
        self.take(family, Bequest::NoEnds);
        self.live(|| {
            hooks::run_all();
            body()
        })
    }

    /// The same for a process that only serves others: the program's hooks are not for it.
    pub(super) fn serve(
        &self,
        family: MutexGuard<'_, Family>,
        bequest: Bequest,
        body: impl FnOnce(),
    ) -> ! {
        self.take(family, bequest);
        self.live(|| {
            body();
            Ok(())
        })
    }

    /// Steps 5 and 6.
    fn live<F, R>(&self, body: F) -> !
    where
        F: FnOnce() -> Result<R, String>,
        R: Serialize,
    {
        let no_way_back = NoWayBack;
        let told = catch_unwind(AssertUnwindSafe(|| {
            let value = match body() {
                Ok(value) => value,
                Err(why) => return self.write(Stage::Undecodable, why.as_bytes()),
            };
            let told = self.encode(&value);
            // What it owns is memory and descriptors, which go with the process; `Drop` would have nothing left to do.
            std::mem::forget(value);
            told
        }));
        if signal::pid() != self.process.pid() {
            // The closure forked by itself, and this is the copy: the cell is not ours (C1).
            stdio::flush_all();
            fork::exit_now(if told.is_ok() { 0 } else { PANICKED });
        }
        let code = match told {
            Ok(stage_and_number) => self.conclude(stage_and_number),
            Err(payload) => {
                self.report_panic(&*payload);
                // Its drop is the user's code, and could panic.
                std::mem::forget(payload);
                PANICKED
            }
        };
        std::mem::forget(no_way_back);
        fork::exit_now(code)
    }

    /// Steps 1 to 4 of the set-up.
    fn take(&self, mut family: MutexGuard<'_, Family>, bequest: Bequest) {
        let no_way_back = NoWayBack;
        let leashed = self.leash.put_on(self.process.pid());
        // SAFETY: `live` never returns or unwinds, so this frame and those that it borrows from live as long as the process.
        let seat: &'static Seat = unsafe { &*std::ptr::from_ref(self) };
        family.sit(seat);
        family.let_go_of_lines();
        drop(family);
        self.insist(leashed);
        roster::set_name(self.process.name());
        seat.cell.words().begin(self.process.pid());
        self.insist(bequest.accept());
        std::mem::forget(no_way_back);
    }

    /// Ends the child if a part of its set-up failed.
    fn insist(&self, done: Result<(), Errno>) {
        if let Err(errno) = done {
            self.cell.say(Stage::Unwritable, errno as i32);
            fork::exit_now(FAILED);
        }
    }

    /// Writes the result's payload, and returns what is to be said of it.
    fn encode<R: Serialize>(&self, value: &R) -> (Stage, i32) {
        let mut writer = self.cell.writer();
        match postcard::to_io(value, &mut writer) {
            Ok(_) => match writer.finish() {
                Ok(()) => (Stage::Value, 0),
                Err(errno) => (Stage::Unwritable, errno as i32),
            },
            Err(error) => match writer.failure() {
                Some(errno) => (Stage::Unwritable, errno as i32),
                None => self.explain(writer, &error.to_string()),
            },
        }
    }

    /// Replaces what was written by the reason why there is no result.
    fn explain(&self, writer: PayloadWriter<'_>, why: &str) -> (Stage, i32) {
        drop(writer);
        self.cell.discard_payload();
        self.write(Stage::Unencodable, why.as_bytes())
    }

    fn write(&self, stage: Stage, bytes: &[u8]) -> (Stage, i32) {
        let mut writer = self.cell.writer();
        match std::io::Write::write_all(&mut writer, bytes).ok().and_then(|()| writer.finish().ok())
        {
            Some(()) => (stage, 0),
            None => (Stage::Unwritable, Errno::ENOMEM as i32),
        }
    }

    fn report_panic(&self, payload: &(dyn Any + Send)) {
        let report = panic::report(payload, self.process.clone());
        self.cell.discard_payload();
        // Strings and numbers always encode.
        let bytes = postcard::to_stdvec(&report).unwrap_or_default();
        let told = self.write(Stage::Panic, &bytes);
        self.conclude(told);
    }

    /// Flushes, then says how it went, and returns the exit code that says the same.
    fn conclude(&self, (stage, number): (Stage, i32)) -> i32 {
        stdio::flush_all();
        self.cell.say(stage, number);
        if stage == Stage::Value { 0 } else { FAILED }
    }
}

/// Runs first at `exit(code)`: says the code and ends the process before the parent's exit handlers run in its copy.
///
/// Rust's own buffers were flushed by `std::process::exit` before it came here.
pub(super) extern "C" fn exit_guard(_argument: *mut c_void, code: c_int) {
    if ExitGuard::is_being_taken_back() {
        return;
    }
    let code = code & 0xff;
    stdio::flush_c();
    if let Some(seat) = family::seat() {
        seat.cell.say(Stage::Exited, code);
    }
    fork::exit_now(code)
}

/// The end of a panic where panics abort: as much of the report as the hook can give.
pub(super) fn end_in_hook(payload: &(dyn Any + Send)) -> ! {
    if let Some(seat) = family::seat() {
        seat.report_panic(payload);
    }
    fork::exit_now(PANICKED)
}
