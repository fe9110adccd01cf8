//! `log_through`: from the children to the logger of their parent.

use crate::ears::{Keeper, heard, kept};
use log::LevelFilter;
use offspring::{Builder, ErrorKind, ForkServer, LogRecord, Queue, log_through, log_to, spawn};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

pub(crate) fn records_arrive_with_name_pid_and_time() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    let queue = Queue::<LogRecord>::new().unwrap();
    let relay = log_through(&queue).unwrap();
    log::info!("of the parent's own");
    assert_eq!(kept(), ["INFO log::through: of the parent's own"]);
    let before = SystemTime::now();
    let child = Builder::new().name("worker").spawn(|| {
        log::warn!(target: "here", "seven {}", 7);
        log::debug!("not wanted");
        assert!(kept().is_empty());
        spawn(|| log::error!("below")).unwrap().join().unwrap();
    });
    let child = child.unwrap();
    let pid = child.pid();
    child.join().unwrap();
    let record = queue.recv().unwrap();
    assert_eq!(
        (record.level(), record.target(), record.message()),
        (log::Level::Warn, "here", "seven 7")
    );
    assert_eq!((record.process().name(), record.process().pid()), ("worker", pid));
    assert!(record.location().unwrap().0.ends_with("through.rs"));
    assert!(record.time() >= before && record.time() <= SystemTime::now());
    record.forward();
    assert_eq!(relay.forward(), 1);
    assert_eq!(relay.forward(), 0);
    let kept = kept();
    assert!(kept[0].starts_with(&format!("WARN here: worker (pid {pid}) ")), "{kept:?}");
    assert!(kept[0].ends_with("Z: seven 7"), "{kept:?}");
    assert!(kept[1].contains("worker:1 (pid ") && kept[1].ends_with("Z: below"), "{kept:?}");
    assert_eq!(kept.len(), 2);
    assert_eq!(relay.lost(), 0);
    assert_eq!(relay.forward_timeout(Duration::from_millis(1)), 0);
}

pub(crate) fn standard_error_names_the_child() {
    let text = heard(|| {
        offspring::log_to_stderr(LevelFilter::Info).unwrap();
        let relay = log_through(&Queue::new().unwrap()).unwrap();
        spawn(|| log::info!("hello")).unwrap().join().unwrap();
        log::info!("joined");
        assert_eq!(relay.forward_timeout(Duration::from_secs(40)), 1);
    });
    assert_eq!(text, "[INFO/main] joined\n[INFO/child-1] hello\n");
}

pub(crate) fn full_queue_blocks_nobody() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    let queue = Queue::<LogRecord>::with_capacity_bytes(4000).unwrap();
    let relay = log_through(&queue).unwrap();
    spawn(|| (0..1000).for_each(|n| log::info!("record {n}"))).unwrap().join().unwrap();
    let (arrived, lost) = (relay.forward(), relay.lost());
    assert!(arrived > 5, "{arrived}");
    assert_eq!(arrived as u64 + lost, 1000);
    let kept = kept();
    assert!((0..arrived).all(|n| kept[n].ends_with(&format!(": record {n}"))));
    let told = format!(
        "WARN offspring: {lost} log records of children were lost: nobody made room for them"
    );
    assert_eq!(kept[arrived], told);
    // There is room again, and the loss is not told twice.
    spawn(|| log::info!("again")).unwrap().join().unwrap();
    assert_eq!((relay.forward(), relay.lost()), (1, lost));
    assert_eq!(crate::ears::kept().len(), 1);
}

pub(crate) fn closed_queue_and_large_records_are_losses() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    let queue = Queue::<LogRecord>::with_capacity_bytes(4000).unwrap();
    let relay = log_through(&queue).unwrap();
    spawn(|| log::info!("{}", "x".repeat(5000))).unwrap().join().unwrap();
    assert_eq!(relay.lost(), 1);
    queue.close();
    spawn(|| log::info!("late")).unwrap().join().unwrap();
    assert_eq!((relay.lost(), relay.forward()), (2, 0));
}

pub(crate) fn thread_forwards_for_a_fork_server() {
    log_to(Keeper, LevelFilter::Info).unwrap();
    let queue = Queue::<LogRecord>::new().unwrap();
    let relay = log_through(&queue).unwrap();
    let server = ForkServer::start().unwrap();
    let (done, all) = channel();
    let thread = std::thread::spawn(move || done.send(relay.forward_until_closed()));
    let children: Vec<_> =
        (0..4).map(|n: u32| server.spawn(|n| log::info!("served {n}"), n).unwrap()).collect();
    children.into_iter().for_each(|child| child.join().unwrap());
    queue.close();
    assert_eq!(all.recv().unwrap(), 4);
    thread.join().unwrap().unwrap();
    assert_eq!(kept().iter().filter(|line| line.contains("Z: served ")).count(), 4);
}

pub(crate) fn needs_a_logger_and_happens_once() {
    let queue = Queue::<LogRecord>::new().unwrap();
    let error = log_through(&queue).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("log_to_stderr"), "{error}");
    log_to(Keeper, LevelFilter::Info).unwrap();
    let _relay = log_through(&queue).unwrap();
    assert_eq!(log_through(&queue).unwrap_err().kind(), ErrorKind::InvalidInput);
}
