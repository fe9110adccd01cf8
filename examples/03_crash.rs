//! Kills processes where it hurts: one that holds a lock, and many in the middle of a `send`.
//!
//! ```text
//! cargo run --release --example 03_crash
//! cargo run --release --example 03_crash -- --rounds 2000
//! ```
//!
//! What it prints (the times and the shares differ from run to run):
//!
//! ```text
//! 1. A child is killed while it holds a lock
//!
//!   the child moved 40 coins out of account A, not yet into B, and got SIGKILL
//!   owner           process 4242 (teller), killed
//!   back            after 115 µs, from just before the kill until the parent had the lock
//!   left            A 60, B 0: half a transfer, which the parent has put back
//!   then            the lock works as before: A 100, B 0
//!
//! 2. 200 children are killed while they send, one after the other
//!
//!   inside a send   188 of 200 died between its call and its return
//!     not sent        183   the message is not in the queue
//!     sent              5   the message is in the queue, whole
//!   messages        36,590 taken out: none lost, none twice, none torn
//!   next send       after 2.0 µs in the middle, 8.1 µs at worst
//! ```
//!
//! The second part kills from outside, at a random moment: SIGKILL cannot be aimed at an instruction. The child notes in shared
//! memory before and after each `send`, so the parent knows when the death fell in between. Where in the `send` it was, it cannot
//! know; the crate's kill matrix (`tests/kill_matrix.rs`) kills at every single instruction, and this is the live picture of it.
//!
//! The exit status is 1 if anything was lost, doubled, torn or stuck, and 2 for arguments that make no sense.

mod terminal;

use offspring::queue::TryRecvError;
use offspring::{Builder, Child, Counter, Exit, LockError, Mutex, RingQueue, Shared, Signal};
use rand::Rng;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Kills a child that holds a lock, and children in the middle of a send; shows what the parent finds.

Usage: 03_crash [--rounds N]

  -r, --rounds N   how many senders are killed, from 1 to 1000000 (default: 200)
";

/// 8 KiB, so that most of a send is copying. Every word of message n is n.
type Message = [u64; WORDS];
const WORDS: usize = 1024;

/// More messages than a child sends before the kill reaches it: it should die while it copies, not while it waits for room.
const CAPACITY: usize = 2048;

/// What no message's number comes near: a word of the parent's own message.
const MARK: u64 = u64::MAX;

/// Much longer than anything here may take.
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let rounds = match parse(lexopt::Parser::from_env()) {
        Ok(Some(rounds)) => rounds,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match die_with_the_lock().and_then(|one| Ok(one + "\n" + &die_in_a_send(rounds)?)) {
        Ok(text) => terminal::show(&text, ExitCode::SUCCESS),
        Err(error) => terminal::failure(&error),
    }
}

/// Part 1. The two accounts always hold 100 coins together, unless somebody dies in the middle of a transfer.
fn die_with_the_lock() -> Result<String, Box<dyn Error>> {
    let accounts = Shared::new(Mutex::new([100u64, 0]))?;
    let locked = RingQueue::<u8>::new(1)?;
    let teller = Builder::new().name("teller").spawn(|| {
        let mut accounts = accounts.lock().unwrap();
        accounts[0] -= 40;
        locked.send(1).unwrap();
        wait_for_death();
    })?;
    locked.recv_timeout(TIMEOUT)?;

    let killed_at = Instant::now();
    teller.kill()?;
    let locked = accounts.lock_timeout(TIMEOUT);
    let back = killed_at.elapsed();
    let Err(LockError::OwnerDied(mut died)) = locked else {
        return Err("the lock came back without the news of a death, or not at all".into());
    };
    let owner = died.owner();
    if (owner.pid(), owner.panicked()) != (Some(teller.pid()), false) {
        return Err(format!("the teller was killed, but the lock says that {owner} died").into());
    }
    let [a, b] = *died.get();
    died.get_mut()[0] = 100 - b;
    drop(died.recover());
    expect_killed(teller)?;
    let [healed_a, healed_b] = *accounts.lock().map_err(|error| error.to_string())?;

    let mut text = title("1. A child is killed while it holds a lock");
    text += "  the child moved 40 coins out of account A, not yet into B, and got SIGKILL\n";
    line(&mut text, "owner", &format!("{owner}, killed"));
    let back =
        format!("after {}, from just before the kill until the parent had the lock", time(back));
    line(&mut text, "back", &back);
    line(
        &mut text,
        "left",
        &format!("A {a}, B {b}: half a transfer, which the parent has put back"),
    );
    line(&mut text, "then", &format!("the lock works as before: A {healed_a}, B {healed_b}"));
    Ok(text)
}

/// What all the deaths of part 2 came to.
#[derive(Default)]
struct Tally {
    inside: u64,
    sent: u64,
    messages: u64,
    next_sends: Vec<Duration>,
}

/// Part 2. One queue for all rounds: what a death breaks stays broken, and the next round shows it.
fn die_in_a_send(rounds: u64) -> Result<String, Box<dyn Error>> {
    let queue = RingQueue::<Message>::new(CAPACITY)?;
    let mut tally = Tally::default();
    for round in 1..=rounds {
        one_sender(&queue, round, &mut tally).map_err(|error| format!("round {round}: {error}"))?;
    }
    tally.next_sends.sort();
    let (middle, worst) = (tally.next_sends[tally.next_sends.len() / 2], tally.next_sends.last());
    let mut text = title(&format!(
        "2. {} children are killed while they send, one after the other",
        grouped(rounds)
    ));
    let inside = format!("{} of {rounds} died between its call and its return", tally.inside);
    line(&mut text, "inside a send", &inside);
    let not_sent = tally.inside - tally.sent;
    line(&mut text, "  not sent", &format!("{not_sent:>5}   the message is not in the queue"));
    line(&mut text, "  sent", &format!("{:>5}   the message is in the queue, whole", tally.sent));
    let sound = paint(Style::Good, "none lost, none twice, none torn");
    line(&mut text, "messages", &format!("{} taken out: {sound}", grouped(tally.messages)));
    let worst = time(worst.copied().unwrap_or_default());
    line(
        &mut text,
        "next send",
        &format!("after {} in the middle, {worst} at worst", time(middle)),
    );
    Ok(text)
}

/// One child that sends until it is killed, and what it leaves.
fn one_sender(
    queue: &RingQueue<Message>,
    round: u64,
    tally: &mut Tally,
) -> Result<(), Box<dyn Error>> {
    let called = Shared::new(Counter::new("sends called"))?;
    let returned = Shared::new(Counter::new("sends that returned"))?;
    let sender = Builder::new().name(format!("sender-{round}")).spawn(|| {
        for number in 1.. {
            called.add(1);
            queue.send([number; WORDS]).unwrap();
            returned.add(1);
        }
    })?;

    // Somewhere in the first 200 µs of sending.
    let mut taken = check(&queue.recv_timeout(TIMEOUT)?, 0)?;
    let pause = Duration::from_nanos(rand::rng().random_range(0..200_000));
    let first_at = Instant::now();
    while first_at.elapsed() < pause {
        std::hint::spin_loop();
    }
    sender.kill()?;
    expect_killed(sender)?;

    // The sending end may be a dead owner's now. The next to send does not notice, but for the time.
    while queue.is_full() {
        taken = check(&queue.recv_timeout(TIMEOUT)?, taken)?;
    }
    let started = Instant::now();
    queue.send_timeout([MARK; WORDS], TIMEOUT)?;
    tally.next_sends.push(started.elapsed());
    loop {
        match queue.try_recv() {
            Ok(message) if message == [MARK; WORDS] => break,
            Ok(message) => taken = check(&message, taken)?,
            Err(TryRecvError::Closed) => return Err("the queue closed by itself".into()),
            Err(TryRecvError::Empty) if started.elapsed() < TIMEOUT => {}
            Err(TryRecvError::Empty) => {
                return Err("the parent's own message did not arrive".into());
            }
        }
    }

    let (called, returned) = (called.get(), returned.get());
    if taken != returned && taken != called {
        return Err(format!(
            "{returned} sends returned, {called} were called, {taken} messages arrived"
        )
        .into());
    }
    tally.inside += called - returned;
    tally.sent += taken - returned;
    tally.messages += taken;
    Ok(())
}

/// The number of a message that is whole and the successor of the last one.
fn check(message: &Message, last: u64) -> Result<u64, String> {
    let number = message[0];
    if message.iter().any(|&word| word != number) {
        return Err(format!("message {number} is torn"));
    }
    match number == last + 1 {
        true => Ok(number),
        false => Err(format!("message {number} came after message {last}")),
    }
}

/// What a process does that is going to be killed.
fn wait_for_death() -> ! {
    loop {
        std::thread::park();
    }
}

fn expect_killed(child: Child<()>) -> Result<(), Box<dyn Error>> {
    match child.join() {
        Err(error) if error.exit() == Some(&Exit::Signal(Signal::KILL)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err("the child ended although nobody asked it to".into()),
    }
}

fn title(text: &str) -> String {
    format!("{}\n\n", paint(Style::Title, text))
}

fn line(text: &mut String, label: &str, what: &str) {
    let _ = writeln!(text, "  {}  {what}", paint(Style::Quiet, format!("{label:<14}")));
}

fn time(time: Duration) -> String {
    let us = time.as_secs_f64() * 1e6;
    match us {
        us if us < 10.0 => format!("{us:.1} µs"),
        us if us < 10_000.0 => format!("{us:.0} µs"),
        us => format!("{:.1} ms", us / 1e3),
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<u64>, String> {
    use lexopt::prelude::*;
    let mut rounds = 200;
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('r') | Long("rounds") => {
                rounds = terminal::number(&mut parser, "--rounds", 1, 1_000_000)?;
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(rounds))
}
