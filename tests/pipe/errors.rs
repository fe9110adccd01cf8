//! What goes wrong with one message leaves the next alone.

use offspring::queue::pipe::{Obstacle, Payload, RecvError};
use offspring::{ErrorKind, pipe, simplex, spawn};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::floors::open_files;

pub(crate) fn out_of_turn_consumes_that_message_alone() {
    let (a, b) = pipe::<u32>().unwrap();
    let before = open_files();
    let send: [&dyn Fn(); 3] =
        [&|| a.send(5).unwrap(), &|| a.send_bytes(b"bytes").unwrap(), &|| {
            a.send_fd(a.as_fd()).unwrap()
        }];
    let recv: [&dyn Fn() -> Result<(), RecvError>; 4] = [
        &|| b.recv().map(|value| assert_eq!(value, 5)),
        &|| b.recv_bytes().map(|bytes| assert_eq!(bytes, b"bytes")),
        &|| b.recv_fd().map(drop),
        &|| b.recv_bytes_into(&mut [0; 5]).map(|bytes| assert_eq!(bytes, 5)),
    ];
    let payloads = [Payload::Value, Payload::Bytes, Payload::Descriptor];
    for (found, send) in payloads.into_iter().zip(send) {
        for (expected, recv) in payloads.into_iter().chain([Payload::Bytes]).zip(recv) {
            send();
            match recv() {
                Ok(()) => assert_eq!(expected, found),
                Err(RecvError::OutOfTurn { expected: e, found: f }) => {
                    assert_eq!((e, f), (expected, found));
                    assert_ne!(e, f);
                }
                Err(error) => panic!("{error}"),
            }
            assert!(!b.is_ready());
        }
    }
    assert_eq!(open_files(), before, "a descriptor that nobody wanted is closed");
    a.send_bytes(&vec![1; 100_000]).unwrap();
    let error = b.recv().unwrap_err();
    assert_eq!(error.to_string(), "receive: expected a value, bytes came");
    assert_eq!(open_files(), before);
}

/// Decodes only from odd numbers, and sometimes from less than it encoded.
#[derive(Debug, PartialEq)]
struct Picky(u8);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            200 => Err(ser::Error::custom("not this one")),
            99 => (99u8, "and more").serialize(serializer),
            n => serializer.serialize_u8(n),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Picky, D::Error> {
        let n = u8::deserialize(deserializer)?;
        if n % 2 == 0 { Err(de::Error::custom("even")) } else { Ok(Picky(n)) }
    }
}

pub(crate) fn a_decoding_error_consumes_that_message_alone() {
    let (a, b) = pipe::<Picky>().unwrap();
    for n in [2, 3, 99, 5] {
        a.send(Picky(n)).unwrap();
    }
    for expected in [Err("is none"), Ok(3), Err("9 bytes are left over"), Ok(5)] {
        match (expected, b.recv()) {
            (Ok(n), Ok(value)) => assert_eq!(value, Picky(n)),
            (Err(part), Err(RecvError::Decoding(error))) => {
                let text = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Encoding);
                assert!(text.contains("Picky") && text.contains(part), "{text}");
            }
            (expected, got) => panic!("expected {expected:?}, got {got:?}"),
        }
    }
}

pub(crate) fn failing_to_send_gives_the_message_back() {
    let (a, b) = pipe::<Picky>().unwrap();
    let error = a.send(Picky(200)).unwrap_err();
    assert!(matches!(error.obstacle(), Obstacle::Encoding(_)));
    assert!(error.to_string().contains("Picky"), "{error}");
    assert_eq!(error.into_inner(), Picky(200));
    a.send(Picky(1)).unwrap();
    assert_eq!(b.recv().unwrap(), Picky(1), "nothing of the other was sent");

    let (sender, receiver) = simplex::<String>().unwrap();
    let mut sent = 0;
    let error = loop {
        match sender.try_send("x".repeat(10_000)) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error.obstacle(), Obstacle::Full));
    assert_eq!(error.into_inner().len(), 10_000);
    let error = sender.send_timeout("late".into(), Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error.obstacle(), Obstacle::Timeout));
    for _ in 0..sent {
        assert_eq!(receiver.recv().unwrap().len(), 10_000);
    }

    // A SIGPIPE would end this case.
    drop(receiver);
    for text in ["short".to_owned(), "long".repeat(50_000)] {
        let error = sender.send(text.clone()).unwrap_err();
        assert!(matches!(error.obstacle(), Obstacle::Disconnected), "{error}");
        assert_eq!(error.into_inner(), text);
        let error = sender.send_timeout(text, Duration::from_millis(1)).unwrap_err();
        assert!(matches!(error.obstacle(), Obstacle::Disconnected), "{error}");
    }
    let error = sender.send_fd(sender.as_fd()).unwrap_err();
    assert!(matches!(error.obstacle(), Obstacle::Disconnected), "{error}");
}

/// The kernel tells a side that its peer was closed with unread messages by ECONNRESET, once, before what the peer had sent.
pub(crate) fn what_was_sent_arrives_though_the_sender_had_not_read() {
    for killed in [false, true] {
        let (here, there) = pipe::<u32>().unwrap();
        here.send(1).unwrap();
        here.send(2).unwrap();
        let child = spawn(move || {
            there.send(7).unwrap();
            there.send(8).unwrap();
            if killed {
                offspring::queue::RingQueue::<u8>::new(1).unwrap().recv().unwrap();
            }
        })
        .unwrap();
        if killed {
            assert!(here.poll(Duration::from_secs(20)));
            // The second one as well.
            assert_eq!(here.recv().unwrap(), 7);
            assert!(here.poll(Duration::from_secs(20)));
            child.kill().unwrap();
            child.join().unwrap_err();
        } else {
            child.join().unwrap();
            assert_eq!(here.recv().unwrap(), 7);
        }
        assert_eq!(here.recv().unwrap(), 8);
        assert!(here.recv().unwrap_err().is_end_of_stream());
        let error = here.send(3).unwrap_err();
        assert!(matches!(error.obstacle(), Obstacle::Disconnected), "{error}");
    }
}

pub(crate) fn no_descriptor_for_what_arrives() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (a, b) = pipe::<u32>().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(64), hard).unwrap();
    a.send_fd(a.as_fd()).unwrap();
    a.send(6).unwrap();
    let dup = || b.as_fd().try_clone_to_owned();
    let all: Vec<OwnedFd> = std::iter::from_fn(|| dup().ok()).collect();
    let error = b.recv_fd().unwrap_err();
    assert!(
        matches!(&error, RecvError::Os(error) if error.kind() == ErrorKind::LimitReached),
        "{error:?}"
    );
    assert_eq!(b.recv().unwrap(), 6);
    let error = pipe::<u32>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    drop(all);
    pipe::<u32>().unwrap();
}
