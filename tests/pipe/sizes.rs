//! Messages of every size, and buffers of the wrong one.

use offspring::queue::pipe::{Obstacle, RecvError};
use offspring::{pipe, simplex, spawn, try_wait_any};
use std::time::Duration;

use crate::support::{Rng, seed};

fn bytes_of(length: usize) -> Vec<u8> {
    let mut rng = Rng::new(length as u64);
    let mut bytes = vec![0; length];
    bytes.chunks_mut(8).for_each(|chunk| {
        let word = rng.next_u64().to_ne_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    });
    bytes
}

/// Around what is small and what is big.
const EDGES: [usize; 9] = [0, 1, 9, 4096, 65_535, 65_536, 65_537, 100_000, 1 << 20];

pub(crate) fn every_size_arrives() {
    let mut rng = Rng::new(seed());
    let lengths = EDGES.into_iter().chain((0..100).map(|_| rng.below(150_000) as usize));
    let (a, b) = pipe::<Vec<u8>>().unwrap();
    let mut buffer = vec![0; 1 << 20];
    for length in lengths {
        let bytes = bytes_of(length);
        a.send_bytes(&bytes).unwrap();
        assert_eq!(b.recv_bytes().unwrap(), bytes);
        b.send_bytes(&bytes).unwrap();
        assert_eq!(a.recv_bytes_into(&mut buffer).unwrap(), length);
        assert_eq!(buffer[..length], bytes);
        // Exactly as long as the message.
        b.send_bytes(&bytes).unwrap();
        assert_eq!(a.recv_bytes_into(&mut buffer[..length]).unwrap(), length);
        assert_eq!(buffer[..length], bytes);
        a.send(bytes.clone()).unwrap();
        assert_eq!(b.recv().unwrap(), bytes);
    }
}

pub(crate) fn too_small_a_buffer_keeps_the_message() {
    let (a, b) = pipe::<u32>().unwrap();
    for length in [1, 100, 65_536, 65_537, 300_000] {
        let bytes = bytes_of(length);
        a.send_bytes(&bytes).unwrap();
        a.send(7).unwrap();
        for room in [0, length / 2, length - 1] {
            let error = b.recv_bytes_into(&mut vec![0; room]).unwrap_err();
            let RecvError::TooSmall { message_bytes, buffer_bytes } = error else {
                panic!("{error}")
            };
            assert_eq!((message_bytes, buffer_bytes), (length, room));
            let text = error.to_string();
            assert!(
                text.contains(&length.to_string()) && text.contains(&room.to_string()),
                "{text}"
            );
        }
        assert!(b.is_ready());
        assert_eq!(try_wait_any(&[&b]).unwrap(), [0]);
        // A copy in a child is no second message.
        let in_child = spawn(|| matches!(b.try_recv_bytes(), Err(RecvError::NotMoved))).unwrap();
        assert!(in_child.join().unwrap());
        assert_eq!(b.recv_bytes().unwrap(), bytes);
        assert_eq!(b.recv().unwrap(), 7);
        assert!(!b.is_ready());
    }
}

/// Two receivers of one end, one of which has too small a buffer for half of the messages.
pub(crate) fn buffers_of_two_sizes_lose_nothing() {
    const COUNT: usize = 20_000;
    let (sender, receiver) = simplex::<()>().unwrap();
    let short = receiver.try_clone().unwrap();
    let sender = spawn(move || {
        for n in 0..COUNT {
            let mut bytes = vec![0; if n % 2 == 0 { 8 } else { 24 }];
            bytes[..8].copy_from_slice(&n.to_ne_bytes());
            sender.send_bytes(&bytes).unwrap();
        }
    })
    .unwrap();
    let run = |end: &offspring::Receiver<()>, room: usize| {
        let (mut got, mut buffer, mut bigger) = (Vec::new(), vec![0; room], vec![0; 24]);
        loop {
            let number = match end.recv_bytes_into(&mut buffer) {
                Ok(_) => &buffer,
                Err(RecvError::TooSmall { .. }) => match end.recv_bytes_into(&mut bigger) {
                    Ok(_) => &bigger,
                    Err(RecvError::EndOfStream) => return got,
                    Err(error) => panic!("{error}"),
                },
                Err(RecvError::EndOfStream) => return got,
                Err(error) => panic!("{error}"),
            };
            got.push(usize::from_ne_bytes(number[..8].try_into().unwrap()));
        }
    };
    let long = receiver;
    let run = &run;
    let mut all = std::thread::scope(|scope| {
        let a = scope.spawn(move || run(&short, 8));
        let b = scope.spawn(move || run(&long, 24));
        [a.join().unwrap(), b.join().unwrap()].concat()
    });
    sender.join().unwrap();
    all.sort_unstable();
    assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
}

pub(crate) fn sixteen_mebibytes_between_processes() {
    const BYTES: usize = 16 << 20;
    let (here, there) = pipe::<Vec<u64>>().unwrap();
    let child = spawn(move || {
        let bytes = there.recv_bytes().unwrap();
        there.send_bytes(&bytes).unwrap();
        let numbers = there.recv().unwrap();
        there.send(numbers).unwrap();
    })
    .unwrap();
    let bytes = bytes_of(BYTES);
    here.send_bytes(&bytes).unwrap();
    assert_eq!(here.recv_bytes().unwrap(), bytes);
    let numbers: Vec<u64> = (0..BYTES as u64 / 8).map(|n| n << 35).collect();
    here.send(numbers.clone()).unwrap();
    assert!(here.recv().unwrap() == numbers);
    child.join().unwrap();
}

pub(crate) fn a_megabyte_sent_exited_joined_read() {
    let (sender, receiver) = simplex::<Vec<u8>>().unwrap();
    let child = spawn(move || sender.send(bytes_of(1_000_000)).unwrap()).unwrap();
    child.join().unwrap();
    assert!(receiver.recv().unwrap() == bytes_of(1_000_000));
    assert!(receiver.recv().unwrap_err().is_end_of_stream());
}

pub(crate) fn a_small_send_buffer() {
    let (a, b) = pipe::<()>().unwrap();
    // The kernel's least.
    set_send_buffer(&a, 1);
    for length in EDGES {
        let bytes = bytes_of(length);
        a.send_bytes(&bytes).unwrap();
        assert_eq!(b.recv_bytes().unwrap(), bytes);
    }
}

#[expect(unsafe_code, reason = "nix has this behind a feature that nothing else needs")]
fn set_send_buffer(end: &impl std::os::fd::AsFd, bytes: i32) {
    use std::os::fd::AsRawFd;
    let (fd, length) = (end.as_fd().as_raw_fd(), size_of::<i32>() as u32);
    let value = std::ptr::from_ref(&bytes).cast();
    // SAFETY: reads an integer.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, value, length) };
    assert_eq!(set, 0);
}

pub(crate) fn a_fast_sender_of_big_messages_waits() {
    let (a, b) = pipe::<()>().unwrap();
    for length in [70_000, 1 << 20, 5 << 20] {
        let bytes = bytes_of(length);
        let mut sent = 0;
        let error = loop {
            match a.try_send_bytes(&bytes) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error.obstacle(), Obstacle::Full), "{error}");
        assert!((1..20).contains(&sent), "{sent} messages of {length} bytes on the way");
        let timed_out = a.send_bytes_timeout(&bytes, Duration::from_millis(2)).unwrap_err();
        assert!(matches!(timed_out.obstacle(), Obstacle::Timeout));
        for _ in 0..sent {
            assert!(b.try_recv_bytes().unwrap() == bytes);
        }
        assert!(matches!(b.try_recv_bytes(), Err(RecvError::Empty)));
    }
}
