//! Producers and consumers over a queue: how consumers learn that it is over, and what the killed leave.
//!
//! ```text
//! cargo run --release --example 04_queue
//! cargo run --release --example 04_queue -- --orders 100000
//! ```
//!
//! What it prints (the shares and the moments of the deaths differ from run to run):
//!
//! ```text
//! 1. Orders, and how their end is told
//!
//!   at once         a child sent 3 orders and has exited: len says 3, and 3 are received
//!   a sentinel      1 producer sent 10,000 orders and 3 times `End`; 3 consumers took 3,412 + 3,310 + 3,278
//!   close           2 producers sent 10,000 orders, then the queue was closed; 3 consumers took 3,380 + 3,301 + 3,319
//!
//! 2. What the killed leave
//!
//!   a producer      killed while it sent: its 214 orders are in the queue, whole and in order
//!   a consumer      killed while it received: of 3,000 orders it took 178, and the other 2,822 are still there
//!   one that waits  killed asleep in recv: the next order goes to another
//!   a work queue    killed with an order: it is delivered again, attempt 2
//! ```
//!
//! A sentinel must be sent once for each consumer, behind all else; `close` needs to know neither how many there are nor who is last.
//!
//! The exit status is 1 if an order was lost, doubled or out of order, and 2 for arguments that make no sense.

mod terminal;

use offspring::queue::NotReceived;
use offspring::{Child, Counter, Event, Exit, Queue, Shared, Signal, WorkQueue, spawn};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Sends orders from producers to consumers through a queue; then kills some of them.

Usage: 04_queue [--orders N]

  -o, --orders N   how many orders to send, from 1 to 10000000 (default: 10000)
";

const CONSUMERS: u64 = 3;

/// So many orders fit into a queue of 1 MiB.
const FITTING: u64 = 3000;

/// Much longer than anything here may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A message is any serde type; this one has memory of its own, which is why it is encoded.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Message {
    Order(Order),
    /// The consumer that receives this one stops.
    End,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
    customer: String,
    items: Vec<(String, u32)>,
}

impl Order {
    fn new(number: u64) -> Order {
        let customer = ["Ada", "Grace", "Edsger", "Barbara"][(number % 4) as usize].to_owned();
        let items = (0..number % 3).map(|n| (format!("article {n}"), n as u32 + 1)).collect();
        Order { number, customer, items }
    }

    fn is_whole(&self) -> bool {
        *self == Order::new(self.number)
    }
}

/// What a consumer has seen: how many orders, and the sum of their numbers.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Tally {
    orders: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, order: &Order) {
        assert!(order.is_whole(), "torn: {order:?}");
        self.orders += 1;
        self.sum += order.number;
    }
}

fn main() -> ExitCode {
    let orders = match parse(lexopt::Parser::from_env()) {
        Ok(Some(orders)) => orders,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match deliver(orders).and_then(|one| Ok(one + "\n" + &lose_some()?)) {
        Ok(text) => terminal::show(&text, ExitCode::SUCCESS),
        Err(error) => terminal::failure(&error),
    }
}

/// Part 1.
fn deliver(orders: u64) -> Result<String, Box<dyn Error>> {
    let mut text = title("1. Orders, and how their end is told");

    let queue = Queue::<Message>::new()?;
    spawn(|| send(&queue, 1..=3))?.join()?;
    let (length, received) = (queue.len(), queue.try_iter().count());
    if (length, received) != (3, 3) {
        return Err(format!("3 were sent, {length} counted, {received} received").into());
    }
    line(
        &mut text,
        "at once",
        "a child sent 3 orders and has exited: len says 3, and 3 are received",
    );

    // Each consumer ends at a message that says so.
    let consumers = start(|| {
        let mut tally = Tally::default();
        while let Message::Order(order) = queue.recv().expect("`End` comes first") {
            tally.add(&order);
        }
        tally
    })?;
    let producer = spawn(|| {
        send(&queue, 1..=orders);
        (0..CONSUMERS).for_each(|_| queue.send(Message::End).expect("nobody closes it"));
    })?;
    producer.join()?;
    let shares = settle(consumers, orders)?;
    let count = grouped(orders);
    let what = format!("1 producer sent {count} orders and {CONSUMERS} times `End`; {shares}");
    line(&mut text, "a sentinel", &what);

    // Each consumer ends when the queue is closed and empty.
    let consumers = start(|| {
        let mut tally = Tally::default();
        for message in &queue {
            match message.expect("all messages are of one type") {
                Message::Order(order) => tally.add(&order),
                Message::End => unreachable!("nobody sends it here"),
            }
        }
        tally
    })?;
    let half = orders / 2;
    let producers = [spawn(|| send(&queue, 1..=half))?, spawn(|| send(&queue, half + 1..=orders))?];
    for producer in producers {
        producer.join()?;
    }
    queue.close();
    let shares = settle(consumers, orders)?;
    let what = format!("2 producers sent {count} orders, then the queue was closed; {shares}");
    line(&mut text, "close", &what);
    Ok(text)
}

fn send(queue: &Queue<Message>, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        queue.send(Message::Order(Order::new(number))).expect("nobody closes it");
    }
}

fn start(consume: impl Fn() -> Tally) -> Result<Vec<Child<Tally>>, offspring::Error> {
    (0..CONSUMERS).map(|_| spawn(&consume)).collect()
}

/// Who took how many; together each order once.
fn settle(consumers: Vec<Child<Tally>>, orders: u64) -> Result<String, Box<dyn Error>> {
    let mut all = Tally::default();
    let mut shares = Vec::new();
    for consumer in consumers {
        let tally = consumer.join()?;
        all.orders += tally.orders;
        all.sum += tally.sum;
        shares.push(grouped(tally.orders));
    }
    if (all.orders, all.sum) != (orders, orders * (orders + 1) / 2) {
        return Err(format!("{orders} orders were sent, {} arrived", all.orders).into());
    }
    Ok(format!("{CONSUMERS} consumers took {}", shares.join(" + ")))
}

/// Part 2.
fn lose_some() -> Result<String, Box<dyn Error>> {
    let mut text = title("2. What the killed leave");
    let left = kill_producer()?;
    let good = paint(Style::Good, "whole and in order");
    let what =
        format!("killed while it sent: its {} orders are in the queue, {good}", grouped(left));
    line(&mut text, "a producer", &what);

    let taken = kill_consumer()?;
    let what = format!(
        "killed while it received: of {} orders it took {}, and the other {} are still there",
        grouped(FITTING),
        grouped(taken),
        grouped(FITTING - taken)
    );
    line(&mut text, "a consumer", &what);

    let queue = Queue::<Message>::new()?;
    let begins = Shared::new(Event::new())?;
    let waiting = spawn(|| {
        begins.set();
        drop(queue.recv());
    })?;
    expect(begins.wait_timeout(TIMEOUT), "the consumer does not begin")?;
    await_asleep(&waiting)?;
    kill(waiting)?;
    send(&queue, 1..=1);
    queue.recv_timeout(TIMEOUT)?;
    line(&mut text, "one that waits", "killed asleep in recv: the next order goes to another");

    // Where an order must not be lost, the consumer says when it is done with it.
    let work = WorkQueue::<Order>::new(1)?;
    work.send(Order::new(1))?;
    let has_it = Shared::new(Event::new())?;
    let worker = spawn(|| {
        let _order = work.recv().expect("one is there");
        has_it.set();
        wait_for_death()
    })?;
    expect(has_it.wait_timeout(TIMEOUT), "the worker received nothing")?;
    kill(worker)?;
    let order = work.recv_timeout(TIMEOUT)?;
    let what = format!("killed with an order: it is delivered again, attempt {}", order.attempts());
    expect(order.ack().is_whole(), "the order is not what was sent")?;
    line(&mut text, "a work queue", &what);
    Ok(text)
}

/// How many orders a producer has sent that was killed, none of them lost.
fn kill_producer() -> Result<u64, Box<dyn Error>> {
    let queue = Queue::<Message>::new()?;
    let returned = Shared::new(Counter::new("sends that returned"))?;
    let producer = spawn(|| {
        for number in 1.. {
            send(&queue, number..=number);
            returned.add(1);
        }
    })?;
    expect(queue.recv_timeout(TIMEOUT)? == Message::Order(Order::new(1)), "not the first order")?;
    kill(producer)?;
    let last = drain(&queue, 2)?;
    // It may have died between the moment when the order was sent and the one when it had noted that.
    let counted = returned.get();
    expect(last == counted || last == counted + 1, "a send that returned is lost")?;
    Ok(last - 1)
}

/// How many of the orders were taken by a consumer that was killed, the others being there.
fn kill_consumer() -> Result<u64, Box<dyn Error>> {
    let queue = Queue::<Message>::new()?;
    send(&queue, 1..=FITTING);
    let returned = Shared::new(Counter::new("receives that returned"))?;
    let begun = Shared::new(Event::new())?;
    let consumer = spawn(|| {
        loop {
            queue.recv().expect("nobody closes it");
            returned.add(1);
            begun.set();
        }
    })?;
    expect(begun.wait_timeout(TIMEOUT), "the consumer received nothing")?;
    kill(consumer)?;
    let taken = FITTING - queue.len() as u64;
    let counted = returned.get();
    expect(taken == counted || taken == counted + 1, "more is gone than it took")?;
    expect(drain(&queue, taken + 1)? == FITTING, "the last orders are gone")?;
    Ok(taken)
}

/// Takes all orders out, which are whole and have the numbers from `next` on; the last one's number.
fn drain(queue: &Queue<Message>, mut next: u64) -> Result<u64, Box<dyn Error>> {
    loop {
        match queue.try_recv() {
            Ok(Message::Order(order)) if order == Order::new(next) => next += 1,
            Ok(other) => return Err(format!("expected order {next}, got {other:?}").into()),
            Err(NotReceived::Empty) => return Ok(next - 1),
            Err(error) => return Err(error.into()),
        }
    }
}

fn kill(child: Child<()>) -> Result<(), Box<dyn Error>> {
    child.kill()?;
    match child.join() {
        Err(error) if error.exit() == Some(&Exit::Signal(Signal::KILL)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err("the child ended although nobody asked it to".into()),
    }
}

/// Waits until the kernel says that the child sleeps.
fn await_asleep(child: &Child<()>) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let stat = format!("/proc/{}/stat", child.pid());
    while !std::fs::read_to_string(&stat)?.contains(") S ") {
        expect(started.elapsed() < TIMEOUT, "the consumer does not fall asleep")?;
        std::thread::yield_now();
    }
    Ok(())
}

/// What a process does that is going to be killed.
fn wait_for_death() -> ! {
    loop {
        std::thread::park();
    }
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn title(text: &str) -> String {
    format!("{}\n\n", paint(Style::Title, text))
}

fn line(text: &mut String, label: &str, what: &str) {
    let _ = writeln!(text, "  {}  {what}", paint(Style::Quiet, format!("{label:<14}")));
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<u64>, String> {
    use lexopt::prelude::*;
    let mut orders = 10_000;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('o') | Long("orders") => {
                orders = terminal::number(&mut parser, "--orders", 1, 10_000_000)?;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(orders))
}
