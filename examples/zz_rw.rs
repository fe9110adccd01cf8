use std::hint::black_box;
use std::time::Instant;
fn med(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}
fn time(mut f: impl FnMut()) -> f64 {
    const N: u32 = 4_000_000;
    let s = Instant::now();
    for _ in 0..N {
        f()
    }
    s.elapsed().as_secs_f64() * 1e9 / N as f64
}
fn main() {
    let ours = offspring::Shared::new(offspring::RwLock::new(1u64)).unwrap();
    let mutex = offspring::Shared::new(offspring::Mutex::new(1u64)).unwrap();
    let theirs = Box::new(parking_lot::RwLock::new(1u64));
    let pm = Box::new(parking_lot::Mutex::new(1u64));
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    drop(ours.read().unwrap());
    let _t = std::thread::spawn(move || rx.recv());
    let (mut a, mut b, mut c, mut d, mut e, mut f) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..15 {
        a.push(time(|| {
            black_box(*black_box(&*ours).read().unwrap());
        }));
        b.push(time(|| {
            black_box(*black_box(&*theirs).read());
        }));
        c.push(time(|| {
            *black_box(&*ours).write().unwrap() += 1;
        }));
        d.push(time(|| {
            *black_box(&*theirs).write() += 1;
        }));
        e.push(time(|| {
            *black_box(&*mutex).lock().unwrap() += 1;
        }));
        f.push(time(|| {
            *black_box(&*pm).lock() += 1;
        }));
    }
    let (a, b, c, d, e, f) = (med(a), med(b), med(c), med(d), med(e), med(f));
    println!(
        "read ours {a:.2} pl {b:.2} ratio {:.2}; write ours {c:.2} pl {d:.2} ratio {:.2}; mutex ours {e:.2} pl {f:.2} {:.2}",
        a / b,
        c / d,
        e / f
    );
    drop(tx);
}
