//! The kernel's robust list: what the kernel does for a thread at its death.
//!
//! Each thread may register a list head (set_robust_list(2)). When it ends in any way, SIGKILL and exec included, the kernel
//! walks the list: in each listed futex word whose low 30 bits are the thread's TID it sets FUTEX_OWNER_DIED, and wakes one
//! sleeper if FUTEX_WAITERS was set. Then it looks at `list_op_pending`: a word whose low 30 bits are 0 is left as it is, and
//! one sleeper on it is woken (Linux 5.5; kernel/futex/core.c, handle_futex_death). glibc has registered a head for every
//! thread, and for the child of every `fork()`; we use that head and leave glibc's own entries in it working.
//!
//! See Documentation/locking/robust-futex-ABI.rst.

#![expect(unsafe_code, reason = "reads and writes the list head that the kernel will read")]

use nix::errno::Errno;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, compiler_fence};

/// Set by the kernel in a listed word: its thread has ended.
pub(crate) const OWNER_DIED: u32 = libc::FUTEX_OWNER_DIED;
/// Asks the kernel to wake a sleeper when it sets [`OWNER_DIED`].
pub(crate) const WAITERS: u32 = libc::FUTEX_WAITERS;
/// The bits that hold a TID.
pub(crate) const TID_MASK: u32 = libc::FUTEX_TID_MASK;

/// A node lies this many bytes behind its futex word; glibc's offset on 64-bit Linux.
pub(crate) const NODE_OFFSET: usize = 32;

/// `struct robust_list_head` of linux/futex.h, with the word that glibc keeps before it not touched.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct RawHead {
    list: *mut Node,
    futex_offset: libc::c_long,
    pending: *mut Node,
}

/// `struct robust_list`: the entry's `next`; glibc's `prev` lies in the eight bytes before it.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Node {
    next: *mut Node,
}

/// The list head of the calling thread. Neither `Send` nor `Sync`: the kernel reads it at the death of this thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head(NonNull<RawHead>);

impl Head {
    /// The head that libc registered for the calling thread, or, where there is none or one with another layout (musl, a
    /// bare clone), `spare`, which is then registered.
    ///
    /// # Safety
    /// - `spare` is null-safe to write and stays mapped until the calling thread has ended.
    pub(crate) unsafe fn of_this_thread(spare: NonNull<RawHead>) -> Result<Head, Errno> {
        if let Some(head) = Head::registered()? {
            return Ok(head);
        }
        let own = RawHead {
            list: spare.as_ptr().cast(),
            futex_offset: -(NODE_OFFSET as libc::c_long),
            pending: std::ptr::null_mut(),
        };
        // SAFETY: the caller gives `spare` to this thread until its end.
        unsafe { spare.as_ptr().write(own) };
        // SAFETY: `spare` is an empty list (it points to itself) and outlives the thread.
        let set = unsafe {
            libc::syscall(libc::SYS_set_robust_list, spare.as_ptr(), size_of::<RawHead>())
        };
        Errno::result(set)?;
        Ok(Head(spare))
    }

    /// The head that libc registered for the calling thread, if it has the layout that is used here.
    pub(crate) fn registered() -> Result<Option<Head>, Errno> {
        let mut head: *mut RawHead = std::ptr::null_mut();
        let mut len = 0usize;
        // SAFETY: thread 0 is the caller; both pointers are to locals.
        let got = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &mut head, &mut len) };
        Errno::result(got)?;
        if let Some(found) = NonNull::new(head) {
            // SAFETY: the kernel returned the head that libc registered for this thread; it is valid while the thread lives,
            // and no other thread or process writes it (libc's heads are in the thread's own memory).
            let offset = unsafe { (*found.as_ptr()).futex_offset };
            if offset == -(NODE_OFFSET as libc::c_long) {
                return Ok(Some(Head(found)));
            }
        }
        Ok(None)
    }

    /// Registers the copy of a parent's head, in a child that the kernel has started without one; as an empty list.
    ///
    /// # Safety
    /// - The calling thread is the only one of a child, and `self` was the head of the thread that made it.
    pub(crate) unsafe fn register_anew(self) -> Result<(), Errno> {
        let head = self.0.as_ptr();
        // SAFETY: the copy is this thread's memory, as the head was the other's; the kernel does not look at it yet.
        unsafe { (*head).list = head.cast() };
        self.clear_pending();
        // SAFETY: an empty list (it points to itself), in memory that lives as long as the thread.
        let set = unsafe { libc::syscall(libc::SYS_set_robust_list, head, size_of::<RawHead>()) };
        Errno::result(set).map(drop)
    }

    /// Links the node that lies [`NODE_OFFSET`] behind `word` in front of the list.
    ///
    /// # Safety
    /// - `word` begins an object whose bytes 24 to 40 are free for the list (`prev`, `next`), aligned to 8.
    /// - The object stays mapped until this thread has ended, and is not linked yet.
    pub(crate) unsafe fn link(self, word: NonNull<AtomicU32>) {
        let node = node_of(word.as_ptr());
        let head = self.0.as_ptr();
        // SAFETY: the head belongs to this thread (type invariant).
        let first = unsafe { (*head).list };
        // SAFETY: the caller gives us the node's bytes.
        unsafe { (*node).next = first };
        // SAFETY: `prev` lies in the eight bytes before `next`, which the caller gives us too.
        unsafe { prev_of(node).write(head.cast()) };
        // Bit 0 of a list pointer marks a priority-inheritance entry.
        let first = first.map_addr(|address| address & !1);
        if !std::ptr::eq(first, head.cast()) {
            // SAFETY: a list entry of glibc or of ours has its `prev` before its `next`; only this thread changes its list.
            unsafe { prev_of(first).write(node) };
        }
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the head belongs to this thread. From here on the kernel finds the node.
        unsafe { (*head).list = node };
        compiler_fence(Ordering::SeqCst);
    }

    /// Names a word whose sleepers must learn of this thread's death; see the top of the file.
    ///
    /// `word` may be any shared word: if its low 30 bits are 0 when the thread dies, one sleeper on it is woken.
    #[inline(always)]
    pub(crate) fn set_pending(self, word: &AtomicU32) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as `pending_field` says; a volatile store, because only the kernel reads it.
        unsafe { self.pending_field().write_volatile(node_of(word)) };
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether [`set_pending`](Self::set_pending) names `word` now.
    #[inline(always)]
    pub(crate) fn is_pending(self, word: &AtomicU32) -> bool {
        self.pending() == node_of(word)
    }

    /// Takes back the naming.
    #[inline(always)]
    pub(crate) fn clear_pending(self) {
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `set_pending`.
        unsafe { self.pending_field().write_volatile(std::ptr::null_mut()) };
    }

    /// The address of the word that [`set_pending`](Self::set_pending) named, to wake sleepers on it.
    pub(crate) fn pending_word(self) -> Option<NonNull<AtomicU32>> {
        let node = self.pending();
        NonNull::new(node)?;
        NonNull::new(node.wrapping_byte_sub(NODE_OFFSET).cast())
    }

    #[inline(always)]
    fn pending(self) -> *mut Node {
        // SAFETY: as `pending_field` says.
        unsafe { self.pending_field().read_volatile() }
    }

    /// Where the pending pointer is: valid while the thread lives, and used by this thread alone (and by the kernel, when it is
    /// dead), because a `Head` does not leave its thread.
    #[inline(always)]
    fn pending_field(self) -> *mut *mut Node {
        // SAFETY: the head is a live RawHead (type invariant); this computes an address in it.
        unsafe { &raw mut (*self.0.as_ptr()).pending }
    }
}

/// The node that belongs to a futex word; an address only, unless the word is a life word.
fn node_of(word: *const AtomicU32) -> *mut Node {
    word.wrapping_byte_add(NODE_OFFSET).cast_mut().cast()
}

/// Where a node's `prev` lies.
fn prev_of(node: *mut Node) -> *mut *mut Node {
    node.cast::<*mut Node>().wrapping_sub(1)
}

/// The caller's thread id.
pub(crate) fn tid() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}
