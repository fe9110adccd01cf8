//! Pipes: each kind of message, sent and received, with and without somebody asleep.
//!
//! The victim sends from `a` to `b`, or receives at `b`. Every process here has copies of both ends, so no stream ends; that it
//! does is shown in `tests/pipe/end_of_stream.rs`.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use offspring::proof::{Fault, Scenario, Scene, Verdict};
use offspring::queue::pipe::RecvError;
use offspring::{Connection, pipe};

use crate::conclude;
use crate::matrix::account::message;

/// The two ends.
struct Pipe {
    a: Connection<[u64; 4]>,
    b: Connection<[u64; 4]>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Value,
    Bytes,
    /// So many that they travel as a file.
    Big,
    Descriptor,
}

const KINDS: [Kind; 4] = [Kind::Value, Kind::Bytes, Kind::Big, Kind::Descriptor];

/// Words in a big message.
const BIG: usize = 10_000;
/// The victim's own message, if it sends.
const VICTIM: u64 = 1000;
/// Tells a receiving bystander to end.
const STOP: u64 = 9000;
/// What a message counts as that is not whole.
const TORN: u64 = u64::MAX;

/// A message made ready, or as it came.
enum Packed {
    Value([u64; 4]),
    Bytes(Vec<u8>),
    Descriptor(OwnedFd),
}

fn pack(kind: Kind, number: u64) -> Packed {
    let words = |count| number.to_ne_bytes().repeat(count);
    match kind {
        Kind::Value => Packed::Value(message(number)),
        Kind::Bytes => Packed::Bytes(words(3)),
        Kind::Big => Packed::Bytes(words(BIG)),
        Kind::Descriptor => {
            let file = File::from(memfd_create(c"message", MFdFlags::MFD_CLOEXEC).unwrap());
            file.write_all_at(&words(2), 0).unwrap();
            Packed::Descriptor(file.into())
        }
    }
}

fn send(end: &Connection<[u64; 4]>, packed: &Packed) {
    match packed {
        Packed::Value(words) => end.send(*words).unwrap(),
        Packed::Bytes(bytes) => end.send_bytes(bytes).unwrap(),
        Packed::Descriptor(fd) => end.send_fd(fd.as_fd()).unwrap(),
    }
}

fn recv(end: &Connection<[u64; 4]>, kind: Kind) -> Result<Packed, RecvError> {
    match kind {
        Kind::Value => end.recv().map(Packed::Value),
        Kind::Bytes | Kind::Big => end.recv_bytes().map(Packed::Bytes),
        Kind::Descriptor => end.recv_fd().map(Packed::Descriptor),
    }
}

fn unpack(kind: Kind, packed: Packed) -> u64 {
    let bytes = match packed {
        Packed::Value(words) => {
            return if message(words[0]) == words { words[0] } else { TORN };
        }
        Packed::Bytes(bytes) => bytes,
        Packed::Descriptor(fd) => {
            let mut bytes = [0; 16];
            File::from(fd).read_exact_at(&mut bytes, 0).unwrap();
            bytes.to_vec()
        }
    };
    let count = match kind {
        Kind::Big => BIG,
        Kind::Bytes => 3,
        _ => 2,
    };
    let first: [u8; 8] = bytes[..8].try_into().unwrap();
    if bytes == first.repeat(count) { u64::from_ne_bytes(first) } else { TORN }
}

/// A pipe with the messages 1, 2, … in it.
fn pipe_of(kind: Kind, count: u64) -> impl Fn() -> Pipe {
    move || {
        let (a, b) = pipe().expect("make a pipe");
        (1..=count).for_each(|n| send(&a, &pack(kind, n)));
        Pipe { a, b }
    }
}

/// This process has sent and received before: allocators and the like are warm.
fn warm(kind: Kind) {
    let (a, b) = pipe().unwrap();
    send(&a, &pack(kind, 1));
    recv(&b, kind).unwrap();
}

fn sends(kind: Kind) -> impl Fn(&Pipe, &Scene) {
    move |pipe, scene| {
        warm(kind);
        let packed = pack(kind, VICTIM);
        scene.begin();
        send(&pipe.a, &packed);
        scene.end();
    }
}

fn receives(kind: Kind) -> impl Fn(&Pipe, &Scene) {
    move |pipe, scene| {
        warm(kind);
        scene.begin();
        let packed = recv(&pipe.b, kind);
        scene.end();
        drop(packed);
    }
}

/// A bystander that receives until it is stopped.
fn receiver(kind: Kind) -> impl Fn(&Pipe, &Scene) {
    move |pipe, scene| {
        loop {
            match unpack(kind, recv(&pipe.b, kind).unwrap()) {
                STOP => return,
                number => scene.log(number),
            }
        }
    }
}

/// The messages 1 to `before`, and the victim's if it `sends`, are there, whole, once and in order, or the victim has taken the
/// first of them if it does not. Then the pipe carries messages both ways. The effect is what the victim has done.
fn check(
    kind: Kind,
    before: u64,
    sends: bool,
    receivers: usize,
) -> impl Fn(&Pipe, &Scene) -> Verdict {
    move |pipe, scene| {
        for _ in 0..receivers {
            send(&pipe.a, &pack(kind, STOP));
        }
        scene.await_ended(receivers);
        let mut seen = scene.logged();
        while pipe.b.is_ready() {
            let packed = recv(&pipe.b, kind).map_err(|error| Fault::broken(error.to_string()))?;
            seen.push(unpack(kind, packed));
        }
        if seen.contains(&TORN) {
            return Err(Fault::torn(format!("{seen:?}")));
        }
        let all: Vec<u64> = (1..=before).chain(sends.then_some(VICTIM)).collect();
        let (effect, is_right) = match sends {
            true => (
                seen.len() as u64 - before.min(seen.len() as u64),
                all.starts_with(&seen) && seen.len() as u64 >= before,
            ),
            false => ((all.len() - seen.len().min(all.len())) as u64, all.ends_with(&seen)),
        };
        if !is_right || effect > 1 || scene.is_finished() && effect != 1 {
            return Err(Fault::lost(format!(
                "expected {all:?}, but for the victim's one: {seen:?}"
            )));
        }
        for (from, to) in [(&pipe.a, &pipe.b), (&pipe.b, &pipe.a)] {
            for kind in KINDS {
                send(from, &pack(kind, 7));
                let back = recv(to, kind).map_err(|error| Fault::broken(error.to_string()))?;
                if unpack(kind, back) != 7 {
                    return Err(Fault::torn(format!("{kind:?} after the death")));
                }
            }
        }
        Ok(effect)
    }
}

/// Each kind of message is sent: to nobody yet, and to one who is asleep.
pub(crate) fn send_whole_or_not() {
    let scenario = |kind: Kind, receivers: usize| {
        let name = format!("send {kind:?}, {receivers} asleep").to_lowercase();
        let mut scenario = Scenario::new(name, pipe_of(kind, 0)).victim(sends(kind));
        for n in 1..=receivers {
            scenario = scenario.bystander(format!("receiver {n}"), receiver(kind));
        }
        // With somebody asleep the way is the same but for the kernel's part.
        scenario.every(1 + 3 * receivers).check(check(kind, 0, true, receivers))
    };
    let blocked = |kind: Kind, full: u64| {
        let name = format!("send {kind:?}, full, then one receives").to_lowercase();
        Scenario::new(name, pipe_of(kind, full))
            .bystander("a receiver", move |pipe, scene| {
                scene.hold();
                receiver(kind)(pipe, scene);
            })
            .victim(sends(kind))
            .every(4)
            .wakes_sleeping_victim()
            .check(check(kind, full, true, 1))
    };
    let scenarios = KINDS.into_iter().flat_map(|kind| [scenario(kind, 0), scenario(kind, 1)]);
    conclude(
        "pipe-send",
        scenarios.chain([
            blocked(Kind::Value, fills(Kind::Value)),
            blocked(Kind::Big, fills(Kind::Big)),
        ]),
    );
}

/// How many messages a pipe holds.
fn fills(kind: Kind) -> u64 {
    let (a, _b) = pipe::<[u64; 4]>().unwrap();
    let count = (0..).take_while(|&n| match pack(kind, n) {
        Packed::Value(words) => a.try_send(words).is_ok(),
        Packed::Bytes(bytes) => a.try_send_bytes(&bytes).is_ok(),
        Packed::Descriptor(fd) => a.try_send_fd(fd.as_fd()).is_ok(),
    });
    count.count() as u64
}

/// Each kind of message is received: one of two, and one that is yet to come.
pub(crate) fn recv_what_is_not_taken_is_there() {
    let plain = |kind: Kind| {
        let name = format!("recv {kind:?}, of two").to_lowercase();
        let scenario = Scenario::new(name, pipe_of(kind, 2)).victim(receives(kind));
        // Most of a big one's way is behind the call: it unpacks what is its own by then.
        let stride = if kind == Kind::Big { 3 } else { 1 };
        scenario.every(stride).check(check(kind, 2, false, 0))
    };
    let blocked = |kind: Kind| {
        let name = format!("recv {kind:?}, then one is sent").to_lowercase();
        Scenario::new(name, pipe_of(kind, 0))
            .bystander("a sender", move |pipe, scene| {
                scene.hold();
                send(&pipe.a, &pack(kind, 1));
            })
            .victim(receives(kind))
            .every(4)
            .wakes_sleeping_victim()
            .settles(|_, scene| scene.has_ended(0))
            .check(check(kind, 1, false, 0))
    };
    let into =
        Scenario::new("recv_bytes_into, of two", pipe_of(Kind::Bytes, 2)).victim(|pipe, scene| {
            warm(Kind::Bytes);
            let mut buffer = [0; 24];
            scene.begin();
            let bytes = pipe.b.recv_bytes_into(&mut buffer);
            scene.end();
            assert_eq!(bytes.unwrap(), 24);
        });
    let timed_out = Scenario::new("recv_timeout that times out", pipe_of(Kind::Value, 0)).victim(
        |pipe, scene| {
            warm(Kind::Value);
            scene.begin();
            let result = pipe.b.recv_timeout(Duration::from_millis(2));
            scene.end();
            assert!(result.is_err());
        },
    );
    // Nobody has sent anything: at the end marker, too, nothing is missing.
    let timed_out = timed_out.check(|pipe, _| match pipe.b.is_ready() {
        true => Err(Fault::doubled("a message that nobody sent")),
        false => Ok(0),
    });
    let scenarios = KINDS.into_iter().flat_map(|kind| [plain(kind), blocked(kind)]);
    let others = [into.check(check(Kind::Bytes, 2, false, 0)), timed_out];
    conclude("pipe-recv", scenarios.chain(others));
}
