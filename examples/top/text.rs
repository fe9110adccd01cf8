//! A snapshot as lines of text.

use offspring::observe::{Pool, Process, Queue, Seat, Snapshot, Thread, Wait};

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Title,
    Alarm,
    Plain,
}

/// How processes are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Tree,
    Waiting,
    Name,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Tree => "tree",
            Order::Waiting => "time of waiting",
            Order::Name => "name",
        }
    }

    pub(crate) fn next(self) -> Order {
        match self {
            Order::Tree => Order::Waiting,
            Order::Waiting => Order::Name,
            Order::Name => Order::Tree,
        }
    }
}

/// All that there is to say.
pub(crate) fn lines(snapshot: &Snapshot, order: Order) -> Vec<(Kind, String)> {
    let mut lines = Vec::new();
    for deadlock in &snapshot.deadlocks {
        let end = if deadlock.has_deadline { " (until a deadline)" } else { "" };
        lines.push((Kind::Alarm, format!("DEADLOCK{end}: {deadlock}")));
    }
    let title = format!("{:>8} {} {:28} WAITS FOR", "PID", "S", "NAME");
    lines.push((Kind::Title, title));
    lines.extend(rows(snapshot, order).into_iter().map(|row| (Kind::Plain, row)));
    if !snapshot.queues.is_empty() {
        let title = format!(
            "{:28} {:>10} {:>10} {:>11} {:>11}",
            "QUEUE", "DEPTH", "CAPACITY", "SENT/S", "RECEIVED/S"
        );
        lines.extend([(Kind::Plain, String::new()), (Kind::Title, title)]);
        lines.extend(snapshot.queues.iter().map(|it| (Kind::Plain, queue(it))));
    }
    for it in &snapshot.pools {
        let Pool { target, living, queued, restarts, stage, .. } = it;
        let title = format!(
            "POOL {}: {living} of {target} workers, {queued} queued, {restarts} restarts, {stage}{}",
            it.object.name,
            if it.has_failed { ", failed" } else { "" }
        );
        lines.extend([(Kind::Plain, String::new()), (Kind::Title, title)]);
        lines.extend(it.seats.iter().enumerate().map(|(n, it)| (Kind::Plain, seat(n, it))));
    }
    lines
}

fn rows(snapshot: &Snapshot, order: Order) -> Vec<String> {
    let nobody = [None];
    let mut rows: Vec<(&Process, Option<&Thread>)> = Vec::new();
    for process in &snapshot.processes {
        // Threads that sleep on something; the process itself, if none does.
        let asleep: Vec<_> =
            process.threads.iter().filter(|it| it.wait.is_some()).map(Some).collect();
        let shown = if asleep.is_empty() { &nobody[..] } else { &asleep };
        rows.extend(shown.iter().map(|&thread| (process, thread)));
    }
    let waited = |thread: Option<&Thread>| {
        thread.and_then(|it| it.wait.as_ref()).map_or(-1.0, |wait| wait.for_s)
    };
    match order {
        Order::Tree => {}
        Order::Waiting => rows.sort_by(|a, b| waited(b.1).total_cmp(&waited(a.1))),
        Order::Name => rows.sort_by(|a, b| a.0.name.cmp(&b.0.name)),
    }
    let row = |(process, thread): (&Process, Option<&Thread>)| {
        let indent = if order == Order::Tree { process.depth * 2 } else { 0 };
        let name = format!("{:indent$}{}", "", process.name);
        let tid = thread.filter(|it| it.tid != process.pid);
        let tid = tid.map_or(String::new(), |it| format!(" (thread {})", it.tid));
        let what = thread.and_then(|it| it.wait.as_ref()).map_or(String::new(), wait);
        format!("{:>8} {} {name:28} {what}{tid}", process.pid, process.state)
    };
    rows.into_iter().map(row).collect()
}

fn wait(wait: &Wait) -> String {
    let holders: Vec<String> = wait.holders.iter().map(ToString::to_string).collect();
    let held = if holders.is_empty() {
        String::new()
    } else {
        format!(", held by {}", holders.join(", "))
    };
    let deadline = if wait.has_deadline { ", with a deadline" } else { "" };
    format!("{} {} for {:.1} s{held}{deadline}", wait.what, wait.object.name, wait.for_s)
}

fn queue(queue: &Queue) -> String {
    let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
    let capacity = match (queue.capacity, queue.used_bytes, queue.capacity_bytes) {
        (Some(capacity), ..) => capacity.to_string(),
        (None, Some(used), Some(all)) if all > 0 => format!("{} %", used * 100 / all),
        _ => "-".to_owned(),
    };
    let leased = queue.leased.map_or(String::new(), |leased| format!("  {leased} on delivery"));
    let dead = queue.dead_letters.filter(|&dead| dead > 0);
    let dead = dead.map_or(String::new(), |dead| format!("  {dead} dead letters"));
    format!(
        "{:28} {:>10} {capacity:>10} {:>11} {:>11}{leased}{dead}{}",
        queue.object.name,
        queue.depth,
        rate(queue.sent_per_s),
        rate(queue.received_per_s),
        if queue.is_closed { "  closed" } else { "" }
    )
}

fn seat(number: usize, seat: &Seat) -> String {
    let worker = seat.worker.as_ref().map_or("nobody".to_owned(), ToString::to_string);
    let task = match (seat.task, seat.attempt) {
        (Some(task), Some(1)) => format!("task {task}"),
        (Some(task), Some(attempt)) => format!("task {task}, attempt {attempt}"),
        _ => "idle".to_owned(),
    };
    let last = seat.last_death.as_ref().map_or(String::new(), |death| {
        let who = death.name.as_deref().unwrap_or("the last one");
        format!("{} ended here; {who} {}", seat.ends, death.how)
    });
    format!("{number:>8}   {worker:28} {task:24} {last}")
}
