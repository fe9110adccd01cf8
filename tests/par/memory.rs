//! Memory that workers and caller share.

use super::support;
use super::{LONG, mappings};
use offspring::{
    Exit, JoinError, Par, SharedVec, Signal, par_for_each_chunk_mut, par_map, par_reduce, spawn,
};

pub(crate) fn chunks_are_changed_in_place() {
    for (len, chunk_len) in [(1, 1), (10, 3), (1000, 7), (100_000, 1000), (5, 100)] {
        let mut memory = SharedVec::new(len, |index| index as u32).unwrap();
        for par in super::staffs() {
            memory.iter_mut().enumerate().for_each(|(index, n)| *n = index as u32);
            par.for_each_chunk_mut(&mut memory, chunk_len, |index, chunk| {
                let expected = (index * chunk_len..len).len().min(chunk_len);
                assert_eq!(chunk.len(), expected);
                // Adding, so that a chunk that is done twice is seen.
                chunk.iter_mut().for_each(|n| *n += 1_000_000 * (index as u32 + 1));
            })
            .unwrap();
            let expected = |n: usize| n as u32 + 1_000_000 * (n / chunk_len + 1) as u32;
            assert!(memory.iter().enumerate().all(|(index, n)| *n == expected(index)));
        }
    }
}

pub(crate) fn vector_is_a_slice() {
    let mut memory = SharedVec::from_slice(&[3u8, 1, 2]).unwrap();
    memory.sort();
    assert_eq!(format!("{memory:?} {:?}", memory.to_vec()), "[1, 2, 3] [1, 2, 3]");
    assert_eq!(SharedVec::<u64>::zeroed(3).unwrap()[..], [0, 0, 0]);
    let other = std::thread::scope(|s| s.spawn(|| memory.len()).join().unwrap());
    assert_eq!(other, 3);
}

pub(crate) fn workers_see_the_vector_as_it_is() {
    let mut memory = SharedVec::new(1000, |index| index as u64).unwrap();
    memory[0] = 500;
    let rows: Vec<&[u64]> = memory.chunks(100).collect();
    let sum = par_reduce(&rows, || 0, |sum, row| sum + row.iter().sum::<u64>(), |a, b| a + b);
    assert_eq!(sum.unwrap(), 500_000);
    // A worker's workers too, and a vector of a worker's own.
    let nested = par_map(&[1u64, 2], |n| {
        let mut own = SharedVec::from_slice(&[*n; 10]).unwrap();
        par_for_each_chunk_mut(&mut own, 2, |at, chunk| chunk[0] += memory[at]).unwrap();
        own.iter().sum::<u64>()
    });
    assert_eq!(nested.unwrap(), [10 + 510, 20 + 510]);
}

/// How a child's closure ends that uses what it may not.
fn end_of(body: impl FnOnce() -> u8) -> Exit {
    match spawn(body).unwrap().join() {
        Err(JoinError::Exited(exit, _)) => exit,
        other => panic!("expected an end, not {other:?}"),
    }
}

pub(crate) fn other_children_have_no_part_in_it() {
    // A worker's own vector, the first one there is.
    let first = par_map(&[0u8], |_| {
        let own = SharedVec::from_slice(&[4u8; 3]).unwrap();
        let reference: &[u8] = &own;
        end_of(|| reference[0]) == Exit::Signal(Signal::SEGV)
    });
    assert_eq!(first.unwrap(), [true]);
    let memory = SharedVec::from_slice(&[7u8; 10_000]).unwrap();
    let refused = |exit: &Exit| matches!(exit, Exit::Panicked(report) if report.message().contains("SharedVec"));
    assert!(refused(&end_of(|| memory[0])));
    let reference: &[u8] = &memory;
    assert_eq!(end_of(|| reference[9_999]), Exit::Signal(Signal::SEGV));
    // A worker may, its child may not; and what the child makes itself is its own.
    let inner = par_map(&[0u8], |_| {
        let panicked = refused(&end_of(|| memory[0]));
        (reference[5], panicked, end_of(|| reference[0]) == Exit::Signal(Signal::SEGV))
    });
    assert_eq!(inner.unwrap(), [(7, true, true)]);
    let own = spawn(|| {
        let own = SharedVec::from_slice(&[4u8; 3]).unwrap();
        par_map(&[0usize, 2], |index| own[*index]).unwrap()
    });
    assert_eq!(own.unwrap().join().unwrap(), [4, 4]);
    assert_eq!(memory[0], 7);
}

pub(crate) fn nothing_is_kept_of_a_vector() {
    drop(SharedVec::<u8>::zeroed(1).unwrap());
    Par::new().workers(1).map(&[1], |n| *n).unwrap();
    let before = mappings().len();
    for len in [0, 1, 100_000] {
        let mut memory = SharedVec::<u64>::zeroed(len).unwrap();
        par_for_each_chunk_mut(&mut memory, 10, |_, chunk| chunk.fill(1)).unwrap();
        assert!(memory.iter().all(|n| *n == 1));
    }
    assert!(support::until(|| mappings().len() == before, LONG));
}
