//! Two parties in turn: round trips over a pipe, ping-pong under a condition variable, events there and back.
//!
//! Timed as in `trips`.

use super::Figures;
use super::arena::arena;
use super::carriers::{PacketSocket, packet_pair};
use super::conditions::{EventFd, Flag, PthreadTurns, Turns};
use super::crowd::Kind;
use super::ours;
use super::trips::{Place, run, run_ends};
use std::hint::black_box;
use std::sync::Mutex;

/// Bytes of a message there and of its answer.
pub(crate) const MESSAGE_BYTES: usize = 64;

/// A message there, or its answer.
pub(crate) type Message = [u8; MESSAGE_BYTES];

/// What the two talk through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// `pipe::<[u8; 64]>()`, `send` and `recv`.
    OursPipe,
    /// `pipe()`, `send_bytes` and `recv_bytes_into`.
    OursPipeBytes,
    /// A pair of SOCK_SEQPACKET sockets, `send` and `recv`.
    PacketPair,
    /// `Mutex` and `Condvar`.
    OursCondvar,
    /// The same of pthread, PROCESS_SHARED.
    PthreadCondvar,
    /// Two `Event`s: `set`, and `wait` with `clear`.
    OursEvent,
    /// Two eventfds: `write`, and `read`.
    EventFd,
}

impl Which {
    /// The name in tables and plots.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::OursPipe => "offspring-pipe",
            Which::OursPipeBytes => "offspring-pipe-bytes",
            Which::PacketPair => "seqpacket",
            Which::OursCondvar => "offspring-condvar",
            Which::PthreadCondvar => "pthread-condvar",
            Which::OursEvent => "offspring-event",
            Which::EventFd => "eventfd",
        }
    }
}

/// An end that sends a message and receives one.
pub(crate) trait End {
    fn send(&mut self, message: &Message);
    fn receive(&mut self) -> Message;
}

/// Times `turns` of them, there and back; yields p50, p99 and the mean in nanoseconds.
pub(crate) fn turns(which: Which, place: Place, turns: u64) -> Figures {
    arena(|| match which {
        Which::OursPipe => talk(place, turns, ours::pipe::typed()),
        Which::OursPipeBytes => talk(place, turns, ours::pipe::bytes()),
        Which::PacketPair => talk(place, turns, packet_pair()),
        Which::OursCondvar => ping_pong(place, turns, &ours::sync::turns()),
        Which::PthreadCondvar => ping_pong(place, turns, &*PthreadTurns::new()),
        Which::OursEvent => flags(place, turns, &[ours::sync::flag(), ours::sync::flag()]),
        Which::EventFd => flags(place, turns, &[EventFd::new(), EventFd::new()]),
    })
}

fn talk<E: End + Send>(place: Place, turns: u64, (near, far): (E, E)) -> Figures {
    let (near, far) = (Mutex::new(Some(near)), Mutex::new(Some(far)));
    let take =
        |end: &Mutex<Option<E>>| end.lock().expect("not poisoned").take().expect("one party");
    let asker = || {
        let mut end = take(&near);
        move |turn: u64| {
            let mut message = [7; MESSAGE_BYTES];
            message[..8].copy_from_slice(&turn.to_ne_bytes());
            end.send(black_box(&message));
            assert_eq!(end.receive(), message);
        }
    };
    let answerer = || {
        let mut end = take(&far);
        move |_| {
            let message = end.receive();
            end.send(black_box(&message));
        }
    };
    run_ends(Kind::Processes, place, turns, asker, answerer)
}

fn ping_pong(place: Place, turns: u64, number: &impl Turns) -> Figures {
    let ask = |turn: u64| number.put_and_wait(2 * turn + 1, 2 * turn + 2);
    let answer = |turn: u64| number.wait_and_put(2 * turn + 1, 2 * turn + 2);
    run(Kind::Processes, place, turns, ask, answer)
}

fn flags(place: Place, turns: u64, [there, back]: &[impl Flag; 2]) -> Figures {
    let ask = |_| {
        there.set();
        back.take();
    };
    let answer = |_| {
        there.take();
        back.set();
    };
    run(Kind::Processes, place, turns, ask, answer)
}

impl End for PacketSocket {
    fn send(&mut self, message: &Message) {
        self.send_packet(message);
    }

    fn receive(&mut self) -> Message {
        let mut message = [0; MESSAGE_BYTES];
        assert_eq!(self.receive_packet(&mut message), MESSAGE_BYTES, "a packet's length");
        message
    }
}
