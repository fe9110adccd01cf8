//! Messages of bytes, from one party to another: how many a second, of ours and of the peers.

use super::Figures;
use super::arena::arena;
use super::carriers::{self, PacketReceiver, Receiver, Sender};
use super::crowd::{self, Kind, Quota};
use super::kernel;
use super::ours;
use std::hint::black_box;
use std::sync::Mutex;

/// Up to here a message is small: queues then hold a thousand, and encoding counts.
const SMALL_MAX: usize = 4096;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `Queue<Vec<u8>>`, `send` and `recv`.
    Ours,
    /// `Queue`, `send_bytes` and `recv_view`; the view's every cache line is read.
    OursView,
    /// `Queue`, `send_bytes` and `recv_bytes_into`.
    OursInto,
    /// `ipc_channel::ipc::channel::<Vec<u8>>`, above 4 KiB `bytes_channel`.
    IpcChannel,
    /// A Unix pipe, frames of one size: length and message in one `write` and one `read`.
    Pipe,
    /// A pair of Unix sockets: SOCK_SEQPACKET, above 4 KiB SOCK_STREAM, framed.
    SocketPair,
    /// `crossbeam_channel::bounded::<Vec<u8>>`, between threads.
    Crossbeam,
    /// A ring in shared memory whose two parties spin: copies in, copies out, nothing else.
    SpinningRing,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Ours => "offspring",
            Which::OursView => "offspring-view",
            Which::OursInto => "offspring-into",
            Which::IpcChannel => "ipc-channel",
            Which::Pipe => "pipe",
            Which::SocketPair => "socket-pair",
            Which::Crossbeam => "crossbeam",
            Which::SpinningRing => "spinning-ring",
        }
    }
}

/// What a queue holds, where its capacity can be chosen: 1024 small messages, 16 of up to 64 KiB, 4 bigger ones.
pub(crate) fn slots(bytes: usize) -> usize {
    match bytes {
        0..=SMALL_MAX => 1024,
        _ if bytes <= 64 << 10 => 16,
        _ => 4,
    }
}

/// Messages of `bytes` bytes per second, from one party to one other. With `pinned`, each is on a CPU of its own.
pub(crate) fn flow(which: Which, bytes: usize, pinned: bool, quota: Quota) -> Figures {
    let slots = slots(bytes);
    let capacity = slots * (bytes + 64);
    arena(|| match which {
        Which::Ours => run(Kind::Processes, bytes, pinned, quota, ours::queue::typed(capacity)),
        Which::OursView => {
            run(Kind::Processes, bytes, pinned, quota, ours::queue::viewed(capacity))
        }
        Which::OursInto => {
            run(Kind::Processes, bytes, pinned, quota, ours::queue::copied(capacity, bytes))
        }
        Which::IpcChannel if bytes <= SMALL_MAX => {
            let ends = ipc_channel::ipc::channel::<Vec<u8>>().expect("a channel");
            run(Kind::Processes, bytes, pinned, quota, ends)
        }
        Which::IpcChannel => {
            let ends = ipc_channel::ipc::bytes_channel().expect("a channel");
            run(Kind::Processes, bytes, pinned, quota, ends)
        }
        Which::Pipe => run(Kind::Processes, bytes, pinned, quota, carriers::pipe(bytes)),
        Which::SocketPair if bytes <= SMALL_MAX => {
            let (sending, receiving) = carriers::packet_pair();
            let receiving = PacketReceiver(receiving, vec![0; bytes]);
            run(Kind::Processes, bytes, pinned, quota, (sending, receiving))
        }
        Which::SocketPair => {
            run(Kind::Processes, bytes, pinned, quota, carriers::stream_pair(bytes))
        }
        Which::Crossbeam => {
            run(Kind::Threads, bytes, pinned, quota, crossbeam_channel::bounded(slots))
        }
        Which::SpinningRing => {
            run(Kind::Processes, bytes, pinned, quota, carriers::spinning_ring(slots, bytes))
        }
    })
}

fn run<S: Sender + Send, R: Receiver + Send>(
    kind: Kind,
    bytes: usize,
    pinned: bool,
    quota: Quota,
    (sender, receiver): (S, R),
) -> Figures {
    let cpus = kernel::cpus();
    if pinned && cpus.len() < 2 {
        return Err("needs two CPUs".to_string());
    }
    // Each end is taken by its party; the copies of it that fork makes stay unused.
    let (sender, receiver) = (Mutex::new(Some(sender)), Mutex::new(Some(receiver)));
    let outcome = crowd::run(kind, 2, quota, |party| {
        if pinned {
            kernel::pin(cpus[party.index]);
        }
        let count = if party.index == 0 {
            let mut sender = sender.lock().expect("not poisoned").take().expect("one sender");
            let mut message = vec![7; bytes];
            let mut sent: u64 = 0;
            while party.goes_on() {
                number(&mut message, sent);
                sender.send(black_box(&message));
                sent += 1;
            }
            sender.send(&[]);
            sent
        } else {
            let mut receiver = receiver.lock().expect("not poisoned").take().expect("one receiver");
            let (mut received, mut is_open) = (0, true);
            while is_open {
                receiver.receive(|message| {
                    is_open = !message.is_empty();
                    if is_open {
                        assert_eq!(message.len(), bytes, "a message's length");
                        assert!(has_number(black_box(message), received), "message {received}");
                        received += 1;
                    }
                });
            }
            received
        };
        [count, 0, 0, 0]
    })?;
    let (sent, received) = (outcome.reports[0][0], outcome.reports[1][0]);
    if sent != received {
        return Err(format!("{sent} messages were sent, {received} were received"));
    }
    Ok(vec![received as f64 / outcome.seconds])
}

/// Writes the message's number at both of its ends.
fn number(message: &mut [u8], number: u64) {
    let end = message.len() - 8;
    message[..8].copy_from_slice(&number.to_ne_bytes());
    message[end..].copy_from_slice(&number.to_ne_bytes());
}

fn has_number(message: &[u8], number: u64) -> bool {
    let number = number.to_ne_bytes();
    message.starts_with(&number) && message.ends_with(&number)
}
