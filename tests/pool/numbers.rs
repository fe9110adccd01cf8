//! Numbers travel as their bytes, and payloads of middle size over the stage: the results are the same as without.

use offspring::Pool;
use offspring::pool::{MapOptions, TaskError};
use std::fmt::Debug;

/// Through one function, by chunks that lie in a slot, on the stage, in the file.
fn there_and_back<T>(pool: &Pool, numbers: &[T])
where
    T: Copy + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let same = |number: T| number;
    let bytes = |numbers: &[T]| format!("{numbers:?}");
    for options in [1, 7, 3000, 300_000].map(|chunk| MapOptions::new().chunk(chunk)) {
        let back = pool.map_with(options, same, numbers.iter().copied()).unwrap();
        assert_eq!(bytes(&back), bytes(numbers));
        let back: Result<Vec<T>, _> = pool.imap_with(options, same, numbers.to_vec()).collect();
        assert_eq!(bytes(&back.unwrap()), bytes(numbers));
        let boxed = pool.map_with(options, |number: T| vec![number], numbers.to_vec()).unwrap();
        assert_eq!(bytes(&boxed.concat()), bytes(numbers));
        let count = pool.map_with(options, |numbers: Vec<T>| numbers.len(), boxed).unwrap();
        assert_eq!(count, vec![1; numbers.len()]);
    }
    assert_eq!(bytes(&pool.map(same, numbers.to_vec()).unwrap()), bytes(numbers));
}

pub(crate) fn numbers_travel_as_they_are() {
    let pool = Pool::new(2).unwrap();
    there_and_back(&pool, &(0..=u8::MAX).cycle().take(70_000).collect::<Vec<_>>());
    there_and_back(&pool, &[i8::MIN, -1, 0, 1, i8::MAX]);
    there_and_back(&pool, &(0..10_000).map(|n| i16::MIN + n * 3).collect::<Vec<_>>());
    there_and_back(&pool, &(0..10_000).map(|n| u64::MAX / (n + 1)).collect::<Vec<_>>());
    there_and_back(&pool, &[u128::MAX, 1 << 100, 0]);
    there_and_back(&pool, &[f64::NAN, f64::INFINITY, -0.0, f64::MIN_POSITIVE, 1e300]);
    there_and_back(&pool, &[usize::MAX, 0, 3]);
    there_and_back(&pool, &[true, false, true]);
    there_and_back(&pool, &['x', '\u{10FFFF}']);
    // Of different sizes.
    let wide = pool.map(|n: u8| u128::from(n) << 120, (0..=u8::MAX).cycle().take(9000)).unwrap();
    assert_eq!(wide[8999], u128::from((8999 % 256) as u8) << 120);
    assert_eq!(pool.map(|n: u128| (n >> 120) as u8, wide).unwrap()[8999], (8999 % 256) as u8);
}

pub(crate) fn numbers_that_fail() {
    let pool = Pool::new(2).unwrap();
    let odd = |n: u32| if n % 1000 == 999 { panic!("no {n}") } else { u64::from(n) * 2 };
    let texts = |n: u32| if n % 1000 == 999 { panic!("no {n}") } else { (n * 2).to_string() };
    for chunk in [1, 10, 4096] {
        let options = MapOptions::new().chunk(chunk);
        let check = |n: usize, result: Result<u64, &TaskError>| match n % 1000 {
            999 => {
                assert_eq!(result.unwrap_err().panic().unwrap().message(), format!("no {n}"));
            }
            _ => assert_eq!(result.unwrap(), 2 * n as u64),
        };
        let results = pool.map_each(options, odd, 0..5000);
        assert_eq!(results.len(), 5000);
        results.iter().enumerate().for_each(|(n, r)| check(n, r.as_ref().copied()));
        let results: Vec<_> = pool.imap_with(options, odd, 0..5000).collect();
        results.iter().enumerate().for_each(|(n, r)| check(n, r.as_ref().copied()));
        let results = pool.map_each(options, texts, 0..5000);
        let parsed = |result: &'_ String| result.parse::<u64>().unwrap();
        results.iter().enumerate().for_each(|(n, r)| check(n, r.as_ref().map(parsed)));
    }
    // The reason, and not one of those that were cancelled because of it, whatever their order.
    let late = |n: u32| if n == 60 { panic!("late") } else { n };
    let stop = MapOptions::new().chunk(1).stop_at_error(true);
    for _ in 0..20 {
        let error = pool.map_with(stop, late, 0..10_000).unwrap_err();
        assert_eq!(error.panic().expect("the reason").message(), "late");
    }
}

/// Arguments and results on both sides of each limit, in slots with and without a place on the stage, in a worker that can map it and in
/// one that cannot.
pub(crate) fn payloads_about_the_limits() {
    let sizes = [0, 1, 223, 224, 225, 4096, 32_767, 32_768, 32_769, 65_536, 65_537, 1 << 20];
    let text = |size: usize| "x".repeat(size);
    let roomy = Pool::builder().workers(2).capacity(80).build().unwrap();
    let limited = Pool::builder().workers(1).capacity(80).memory_limit_per_worker(1 << 20);
    for (pool, sizes) in [(&roomy, &sizes[..]), (&limited.build().unwrap(), &sizes[..9])] {
        // More at once than there are places.
        for &size in sizes {
            let submit = |_| pool.submit(|text: String| (text.len(), text), text(size)).unwrap();
            let tasks: Vec<_> = (0..70).map(submit).collect();
            for task in tasks {
                let (len, back) = task.wait().unwrap();
                assert_eq!((len, back.len()), (size, size));
                assert!(back.bytes().all(|byte| byte == b'x'));
            }
            let bytes = pool.apply(|size: usize| vec![7u8; size], size).unwrap();
            assert_eq!(bytes, vec![7; size]);
        }
    }
}
