//! Messages, bytes and descriptors, between ends of one process and of several.

use offspring::{Connection, pipe, simplex, spawn};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::floors::open_files;

/// A message of the kinds that programs send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Stop,
    Compute { name: String, numbers: Vec<f64> },
}

pub(crate) fn both_directions() {
    let (here, there) = pipe::<Order>().unwrap();
    let child = spawn(move || {
        let mut count = 0;
        while let Order::Compute { name, numbers } = there.recv().unwrap() {
            let numbers = numbers.iter().map(|x| x * 2.0).collect();
            there.send(Order::Compute { name, numbers }).unwrap();
            count += 1;
        }
        count
    });
    for n in 0..100u32 {
        let order = |factor| Order::Compute {
            name: format!("order {n}"),
            numbers: (0..n).map(|x| f64::from(x * factor)).collect(),
        };
        here.send(order(1)).unwrap();
        assert_eq!(here.recv().unwrap(), order(2));
    }
    here.send(Order::Stop).unwrap();
    assert_eq!(child.unwrap().join().unwrap(), 100);
}

pub(crate) fn three_messages_stay_three() {
    let (sender, receiver) = simplex::<String>().unwrap();
    for text in ["one", "two", "three"] {
        sender.send_bytes(text.as_bytes()).unwrap();
        sender.send(text.to_owned()).unwrap();
    }
    drop(sender);
    for text in ["one", "two", "three"] {
        assert_eq!(receiver.recv_bytes().unwrap(), text.as_bytes());
        assert_eq!(receiver.recv().unwrap(), text);
    }
    assert!(receiver.recv().unwrap_err().is_end_of_stream());
}

pub(crate) fn a_zero_length_message_is_a_message() {
    let (sender, receiver) = simplex::<()>().unwrap();
    for _ in 0..3 {
        sender.send_bytes(&[]).unwrap();
        sender.send(()).unwrap();
    }
    drop(sender);
    let mut buffer = [];
    assert_eq!(receiver.recv_bytes().unwrap(), b"");
    receiver.recv().unwrap();
    assert_eq!(receiver.recv_bytes_into(&mut buffer).unwrap(), 0);
    receiver.recv().unwrap();
    assert!(receiver.is_ready(), "a message of no bytes is something to receive");
    assert_eq!(receiver.recv_bytes_into(&mut [7; 9]).unwrap(), 0);
    receiver.recv().unwrap();
    assert!(receiver.recv_bytes_into(&mut buffer).unwrap_err().is_end_of_stream());
    assert!(receiver.recv().unwrap_err().is_end_of_stream(), "the end stays");
}

pub(crate) fn descriptors_beyond_256() {
    let (here, there) = pipe::<u32>().unwrap();
    // The lowest free number from 300 on.
    let mut file = tempfile();
    let number = duplicate_from(&file, 300);
    assert!(number.as_raw_fd() >= 300);
    let child = spawn(move || {
        let highs: Vec<OwnedFd> =
            (0..300).map(|_| there.as_fd().try_clone_to_owned().unwrap()).collect();
        let got = there.recv_fd().unwrap();
        assert!(got.as_raw_fd() > 256, "all below are taken: {got:?}");
        drop(highs);
        let flags = nix::fcntl::fcntl(&got, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        File::from(got).write_all(b"from the child").unwrap();
        there.recv().unwrap()
    })
    .unwrap();
    here.send_fd(number.as_fd()).unwrap();
    drop(number);
    here.send(11).unwrap();
    assert_eq!(child.join().unwrap(), 11);
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the child");
}

fn tempfile() -> File {
    nix::sys::memfd::memfd_create(c"test", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap().into()
}

/// A duplicate whose number is at least `from`.
#[expect(unsafe_code, reason = "a number that the kernel has just given becomes an owner")]
fn duplicate_from(file: &File, from: i32) -> OwnedFd {
    let number = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(from)).unwrap();
    // SAFETY: a new descriptor that nobody else owns.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(crate) fn clones_are_ends_of_their_own() {
    let (sender, receiver) = simplex::<u32>().unwrap();
    let senders: Vec<_> = (0..3).map(|_| sender.try_clone().unwrap()).collect();
    let mut children = Vec::new();
    for (n, sender) in (0..).zip(senders) {
        children.push(spawn(move || sender.send(n).unwrap()).unwrap());
    }
    sender.send(3).unwrap();
    drop(sender);
    let mut got: Vec<u32> = std::iter::from_fn(|| receiver.recv().ok()).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3], "and then the end of the stream, which all clones were");
}

pub(crate) fn threads_share_an_end() {
    let (sender, receiver) = simplex::<(u32, u32)>().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let sender = &sender;
            scope.spawn(move || (0..500).for_each(|n| sender.send((thread, n)).unwrap()));
        }
        let mut next = [0; 3];
        for _ in 0..1500 {
            let (thread, n) = receiver.recv().unwrap();
            assert_eq!(next[thread as usize], n, "each sender's messages are in order");
            next[thread as usize] += 1;
        }
    });
}

/// A value whose encoding and decoding send and receive.
struct Nosy;

fn chat() -> u8 {
    let (a, b) = pipe::<u8>().unwrap();
    a.send(3).unwrap();
    b.recv().unwrap()
}

impl Serialize for Nosy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (1u8, chat()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nosy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nosy, D::Error> {
        let before = chat();
        let (one, three) = <(u8, u8)>::deserialize(deserializer)?;
        assert_eq!((before, one, three), (3, 1, 3));
        Ok(Nosy)
    }
}

pub(crate) fn serde_code_may_use_pipes() {
    let (a, b) = pipe::<Nosy>().unwrap();
    for _ in 0..3 {
        a.send(Nosy).unwrap();
        b.recv().unwrap();
    }
}

type Pipe = (Connection<Vec<u8>>, Connection<Vec<u8>>);

pub(crate) fn no_descriptor_is_left() {
    let ping = |pipes: Vec<Pipe>| {
        for (a, b) in &pipes {
            a.send(vec![7; 200_000]).unwrap();
            b.try_clone().unwrap().recv().unwrap();
            b.send_fd(a.as_fd()).unwrap();
            a.recv_fd().unwrap();
            a.send_fd(b.as_fd()).unwrap();
            b.recv().unwrap_err();
        }
    };
    spawn(|| ()).unwrap().join().unwrap();
    let before = open_files();
    ping((0..5).map(|_| pipe().unwrap()).collect());
    assert_eq!(open_files(), before);
    let pipes = (0..5).map(|_| pipe().unwrap()).collect();
    let child = spawn(move || {
        ping(pipes);
        open_files()
    });
    let in_child = child.unwrap().join().unwrap();
    assert_eq!(open_files(), before);
    let child = spawn(open_files).unwrap();
    assert_eq!(child.join().unwrap(), in_child);
}
