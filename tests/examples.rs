//! The examples, run as a user runs them: what they print, their exit status, and that `wc` agrees.
#![expect(unsafe_code, reason = "opens a terminal for the progress bar")]

mod support;

mod examples {
    pub(crate) mod logging;
    pub(crate) mod pool;
    pub(crate) mod top;
    pub(crate) mod tutorial;
    pub(crate) mod web;
}

use examples::{logging, pool, top, tutorial, web};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::{Rng, case, seed};

const RACE: &str = "01_counter_race";
const COUNT: &str = "02_word_count";
const CRASH: &str = "03_crash";
const QUEUE: &str = "04_queue";
const PIPE: &str = "05_pipe";
const LOCKS: &str = "06_locks";
const POOL: &str = "07_pool";
const EXECUTOR: &str = "08_executor";
const PIPELINE: &str = "09_pipeline";
const IMAGES: &str = "10_resize_images";
const SERVER: &str = "11_web_server";
const SURVIVE: &str = "12_survive";

fn main() {
    let mut cases = vec![
        case!(race_prints_a_table),
        case!(race_prints_json),
        case!(bad_arguments_get_one_line_and_status_2),
        case!(help_is_no_error),
        case!(closed_output_is_no_panic),
        case!(word_count_equals_wc),
        case!(word_count_names_what_it_cannot_read),
        case!(word_count_waits_for_no_writer),
        case!(word_count_feeds_more_paths_than_its_queue_holds),
        case!(word_count_without_arguments_counts_this_repository),
        case!(word_count_draws_its_bar_on_a_terminal_alone),
        case!(crash_finds_everything_sound),
        case!(queue_loses_nothing),
        case!(pipe_asks_and_is_answered),
        case!(locks_play_their_scenes),
        case!(pool::pool_counts_primes),
        case!(pool::executor_finds_the_same),
        case!(pool::pipeline_keeps_all_jobs),
        case!(pool::images_become_small),
        case!(pool::survive_has_one_outcome_each),
        case!(top::tells_deadlock_depth_and_death),
        case!(top::refuses_in_one_line),
        case!(web::answers_and_refuses),
        case!(web::has_no_patience_with_slow_clients),
        case!(web::replaces_the_killed_and_drains),
    ];
    cases.extend(logging::cases());
    cases.extend(tutorial::cases());
    support::run(&cases)
}

/// A built example, beside this test.
fn example(name: &str) -> Command {
    let me = std::env::current_exe().expect("the path of this binary");
    let profile = me.parent().and_then(Path::parent).expect("target/<profile>/deps/<this>");
    let path = profile.join("examples").join(name);
    assert!(path.exists(), "expected a built example {name}: run `cargo build --examples`");
    let mut command = Command::new(path);
    command.env_remove("NO_COLOR");
    command
}

fn run(name: &str, args: &[&str]) -> (String, String, i32) {
    end_of(example(name).args(args))
}

fn end_of(command: &mut Command) -> (String, String, i32) {
    let Output { status, stdout, stderr } = command.output().expect("run an example");
    let text = |bytes| String::from_utf8(bytes).expect("examples print UTF-8");
    (text(stdout), text(stderr), status.code().unwrap_or_else(|| panic!("{status}")))
}

/// The number behind a label in what `02_word_count` prints.
fn figure(text: &str, label: &str) -> u64 {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(label));
    let figure = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    figure.unwrap_or_else(|| panic!("expected a line `{label} NUMBER` in:\n{text}"))
}

fn race_prints_a_table() {
    let (out, err, status) = run(RACE, &["--processes", "3", "--increments", "1500"]);
    assert_eq!((err.as_str(), status), ("", 0));
    assert!(!out.contains('\x1b'), "colours in a pipe: {out:?}");
    for way in ["unsynchronised", "Mutex", "atomic add"] {
        let row = out.lines().find(|line| line.trim_start().starts_with(way)).expect(way);
        assert!(row.contains("4,500") && row.contains('█'), "{row}");
        assert!(way == "unsynchronised" || row.ends_with(" 100 %"), "{row}");
    }
}

fn race_prints_json() {
    let (out, err, status) = run(RACE, &["-p", "2", "-n", "3000", "--json"]);
    assert_eq!((err.as_str(), status), ("", 0));
    let race: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&race["processes"], &race["increments"]), (&2.into(), &3000.into()));
    let ways = race["ways"].as_array().expect("a list");
    assert_eq!(ways.len(), 3);
    for way in ways {
        let number = |key: &str| way[key].as_u64().unwrap_or_else(|| panic!("{key} in {way}"));
        assert_eq!(number("expected"), 6000);
        assert_eq!(number("counted") + number("lost"), 6000);
        assert!(way["ns_per_increment"].as_f64().expect("a number") > 0.0);
        assert!(way["way"] == "unsynchronised" || number("lost") == 0, "{way}");
    }
}

fn bad_arguments_get_one_line_and_status_2() {
    let bad: &[(&str, &[&str])] = &[
        (RACE, &["--processes", "0"]),
        (RACE, &["--processes", "two"]),
        (RACE, &["--processes", "-1"]),
        (RACE, &["--increments", "99999999999999999999999"]),
        (RACE, &["--increments"]),
        (RACE, &["--json=yes"]),
        (RACE, &["--faster"]),
        (RACE, &["3"]),
        (COUNT, &["--workers", "0"]),
        (COUNT, &["-x", "Cargo.toml"]),
        (CRASH, &["--rounds", "many"]),
        (CRASH, &["now"]),
        (QUEUE, &["--orders", "none"]),
        (PIPE, &["--requests", "0"]),
        (LOCKS, &["spinlock"]),
        (LOCKS, &["mutex", "event"]),
        (POOL, &["--workers", "0"]),
        (EXECUTOR, &["one", "two"]),
        (PIPELINE, &["--workers", "1"]),
        (IMAGES, &["--to", "somewhere"]),
        (SERVER, &["--port", "65536"]),
        (SURVIVE, &["me"]),
        ("13_logging", &["--level", "loud"]),
        ("tutorial", &["hello", "world"]),
    ];
    for (name, args) in bad {
        let (out, err, status) = run(name, args);
        assert_eq!((out.as_str(), status), ("", 2), "{name} {args:?}");
        assert!(err.starts_with(&format!("{name}: ")) && err.ends_with('\n'), "{err:?}");
        assert_eq!(err.lines().count(), 1, "{err:?}");
    }
}

fn help_is_no_error() {
    let early = [RACE, COUNT, CRASH, QUEUE, PIPE, LOCKS];
    let late = [POOL, EXECUTOR, PIPELINE, IMAGES, SERVER, SURVIVE, "tutorial"];
    for name in early.into_iter().chain(late) {
        let (out, err, status) = run(name, &["--help"]);
        assert_eq!((err.as_str(), status), ("", 0));
        assert!(out.contains(&format!("Usage: {name}")), "{out}");
    }
}

fn closed_output_is_no_panic() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = example(RACE);
    command.args(["-n", "1"]).stdout(writer);
    let (_, err, status) = end_of(&mut command);
    assert_eq!((err.as_str(), status), ("", 0));
}

/// A folder that is gone at the end of the case.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("examples-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("create a folder");
        Folder(path)
    }

    /// Writes a file at a path below this folder; what is above it is created.
    fn put(&self, path: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(path.as_ref());
        fs::create_dir_all(path.parent().expect("below the folder")).expect("create a folder");
        fs::write(&path, content).expect("write a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `wc -lwc` of these files: lines, words, bytes.
fn wc(files: &[PathBuf]) -> [u64; 3] {
    let output = Command::new("wc").env("LC_ALL", "C").arg("-lwc").arg("--").args(files).output();
    let output = output.expect("run wc").stdout;
    // The last line is the total, of one file too; names before it may be any bytes.
    let last = output.trim_ascii_end().rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let last = String::from_utf8_lossy(last);
    let mut figures = last.split_whitespace().map(|word| word.parse().expect("a number of wc"));
    [(); 3].map(|()| figures.next().expect("three numbers of wc"))
}

/// Whether this `wc` has the rule of GNU coreutils up to 9.4, which the example follows: bytes that are not printable make no
/// word. Later ones count every run of bytes between white space.
fn wc_wants_printable(folder: &Folder) -> bool {
    wc(&[folder.put("probe", b"\x01 \xff ")])[1] == 0
}

fn assert_equals_wc(command: &mut Command, files: &[PathBuf]) {
    let (out, err, status) = end_of(command);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    let ours = ["lines", "words", "bytes"].map(|label| figure(&out, label));
    assert_eq!(ours, wc(files), "lines, words, bytes: ours, and those of wc");
    assert_eq!(figure(&out, "paths"), files.len() as u64);
}

fn word_count_equals_wc() {
    let folder = Folder::new("wc");
    let printable = wc_wants_printable(&folder);
    let folder = Folder(folder.0.join("tree"));
    let mut files = vec![
        folder.put("plain.txt", "one two\nthree\n"),
        folder.put("empty", ""),
        folder.put("no newline at the end", "a  b\tc\rd\x0be\x0cf"),
        folder.put("only\nnewlines", "\n\n\n"),
        folder.put(".hidden/deep/er/file", " leading and trailing "),
        folder.put(OsString::from_vec(b"not \xff\xfe UTF-8".to_vec()), "x y"),
        folder.put("-lwc", "a name like an option"),
        folder.put("long", "word ".repeat(200_000)),
        folder.put("one long word", "w".repeat(700_000)),
    ];
    // Every byte, and bytes at random over several buffers' lengths.
    let mut rng = Rng::new(seed());
    let mut odd: Vec<u8> = (0..=255).collect();
    odd.extend((0..600_000).map(|_| (rng.next_u64() >> 32) as u8));
    if !printable {
        println!("this wc counts words of unprintable bytes; comparing printable ones");
        odd.retain(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte == 0x0b);
    }
    files.push(folder.put("every byte", odd));
    // None of these count.
    symlink(&folder.0, folder.0.join("loop")).expect("make a link");
    symlink("plain.txt", folder.0.join("link")).expect("make a link");
    symlink("nothing", folder.0.join("dead link")).expect("make a link");

    assert_equals_wc(example(COUNT).arg(&folder.0), &files);
    assert_equals_wc(example(COUNT).args(["--workers", "7", "--"]).args(&files), &files);
    // As wc: a file that is named twice counts twice, and a link that is named is followed.
    let twice = [files[0].clone(), folder.0.join("link"), files[0].clone()];
    assert_equals_wc(example(COUNT).args(&twice), &twice);
}

fn word_count_names_what_it_cannot_read() {
    let folder = Folder::new("unreadable");
    folder.put("good", "three good words\n");
    let locked = folder.put("locked", "secret");
    fs::set_permissions(&locked, Permissions::from_mode(0o000)).expect("change the mode");
    let closed = folder.put("closed/inside", "secret");
    let closed = closed.parent().expect("a folder");
    fs::set_permissions(closed, Permissions::from_mode(0o000)).expect("change the mode");
    let missing = folder.0.join("mis\nsing");
    let mem = Path::new("/proc/self/mem"); // opens, and then cannot be read
    let long = PathBuf::from("x".repeat(70_000));

    let mut command = example(COUNT);
    let (out, err, status) =
        end_of(command.arg(&missing).arg(&folder.0).arg(mem).arg(&long).arg("/dev/null"));
    // Root reads what has no permissions.
    let is_root = File::open(&locked).is_ok();
    fs::set_permissions(closed, Permissions::from_mode(0o700)).expect("change the mode");
    let unreadable = if is_root { 4 } else { 6 };
    assert_eq!(status, 1);
    assert_eq!(figure(&out, "unreadable"), unreadable, "{err}");
    assert_eq!(figure(&out, "paths"), if is_root { 3 } else { 1 });
    assert_eq!(figure(&out, "lines"), 1, "a file that cannot be read changes no number");
    assert_eq!(err.lines().count() as u64, unreadable, "a line for each: {err}");
    for (path, why) in [
        (missing.as_path(), "No such file"),
        (mem, "os error"),
        (&long, "longer than"),
        (Path::new("/dev/null"), "not a regular file"),
    ] {
        let name = format!("{path:?}");
        let line = err.lines().find(|line| line.contains(&name)).unwrap_or_else(|| {
            panic!("expected a line that names {}: {err}", name.get(..200).unwrap_or(&name))
        });
        assert!(line.contains(why), "{line}");
    }
}

fn word_count_waits_for_no_writer() {
    let folder = Folder::new("fifo");
    folder.put("file", "a b c");
    let fifo = folder.0.join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("run mkfifo");
    assert!(made.success());
    let (out, err, status) = end_of(example(COUNT).arg(&folder.0));
    assert_eq!(
        (err.as_str(), status, figure(&out, "words")),
        ("", 0, 3),
        "passed over in a folder"
    );
    let (out, err, status) = end_of(example(COUNT).arg(&fifo));
    assert_eq!((status, figure(&out, "unreadable")), (1, 1));
    assert!(err.contains("not a regular file"), "{err}");
}

fn word_count_feeds_more_paths_than_its_queue_holds() {
    let folder = Folder::new("many");
    let files: Vec<PathBuf> =
        (0..1000).map(|n| folder.put(format!("{}/{n}", n % 7), format!("file {n}\n"))).collect();
    assert_equals_wc(example(COUNT).args(["--workers", "1"]).arg(&folder.0), &files);
}

fn word_count_without_arguments_counts_this_repository() {
    let (out, err, status) = end_of(example(COUNT).current_dir("/"));
    assert_eq!((err.as_str(), status), ("", 0));
    assert!(figure(&out, "paths") >= 50 && figure(&out, "lines") >= 5_000, "{out}");
    // Without the folder of what was built, which is a hundred times as big.
    assert!(figure(&out, "paths") < 2_000, "{out}");
}

fn word_count_draws_its_bar_on_a_terminal_alone() {
    let folder = Folder::new("bar");
    (0..300).for_each(|n| drop(folder.put(format!("{n}"), "a b\n")));
    let (out, err, _) = end_of(example(COUNT).arg(&folder.0));
    assert_eq!((figure(&out, "words"), err.as_str()), (600, ""));
    assert!(!out.contains(['\x1b', '\r', '█']), "{out:?}");

    let (mut terminal, slave) = open_terminal();
    let clone = || slave.try_clone().expect("another descriptor");
    let mut command = example(COUNT);
    command.env("TERM", "xterm").arg(&folder.0).stdin(clone()).stdout(clone()).stderr(clone());
    let mut child = command.spawn().expect("run an example");
    drop((command, slave));
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    // The end of a terminal is an error (EIO), once nobody has it open.
    while let Ok(length @ 1..) = terminal.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..length]);
    }
    assert!(child.wait().expect("wait").success());
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains(" files, "), "a bar: {seen:?}");
    assert_eq!(figure(&seen, "words"), 600);
}

/// A new terminal: the side that reads what is shown, and the side that programs write to.
fn open_terminal() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let name = std::ptr::null_mut();
    // SAFETY: writes two descriptors; the name, the modes and the size are not asked for.
    let opened =
        unsafe { libc::openpty(&mut master, &mut slave, name, std::ptr::null(), std::ptr::null()) };
    assert_eq!(opened, 0, "open a terminal: {}", std::io::Error::last_os_error());
    // SAFETY: a new descriptor that nobody else owns.
    let master = unsafe { File::from_raw_fd(master) };
    // SAFETY: as above.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    (master, slave)
}

fn crash_finds_everything_sound() {
    let (out, err, status) = run(CRASH, &["--rounds", "30"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    for part in [
        "(teller), killed",
        "A 60, B 0: half a transfer",
        "as before: A 100, B 0",
        "of 30 died between its call and its return",
        "none lost, none twice, none torn",
    ] {
        assert!(out.contains(part), "expected {part:?} in:\n{out}");
    }
}

fn queue_loses_nothing() {
    let (out, err, status) = run(QUEUE, &["--orders", "1500"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    for part in [
        "len says 3, and 3 are received",
        "1 producer sent 1,500 orders and 3 times `End`; 3 consumers took ",
        "2 producers sent 1,500 orders, then the queue was closed; 3 consumers took ",
        "orders are in the queue, whole and in order",
        "are still there",
        "the next order goes to another",
        "delivered again, attempt 2",
    ] {
        assert!(out.contains(part), "expected {part:?} in:\n{out}");
    }
    let (_, err, status) = run(QUEUE, &["--orders", "1"]);
    assert_eq!((err.as_str(), status), ("", 0));
}

fn pipe_asks_and_is_answered() {
    let (out, err, status) = run(PIPE, &["--requests", "50"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    for part in [
        "50 asked, 50 answered right",
        "there and back as one message each",
        "says end of stream, and it returns 52",
        "1 from child-2, 1 from child-4",
        "child-3         was ended by SIGKILL: its pipe says end of stream",
    ] {
        assert!(out.contains(part), "expected {part:?} in:\n{out}");
    }
}

fn locks_play_their_scenes() {
    let (out, err, status) = run(LOCKS, &[]);
    assert_eq!((err.as_str(), status), ("", 0));
    for told in [
        "4 children added 1,000 each: 4,000",
        "(clumsy) died; the sum is repaired: 4,000",
        "filled the plate 3 times, the guest emptied it 3 times",
        "3 runners waited for the start, 3 ran",
        "each with nested locks: 93 moves",
        "of 2,000 reads beside 1,000 writes 0 saw half a change",
        "it was ended by SIGKILL: its share is back, and the parent writes 1,001",
        "was ended by SIGKILL in its initialiser, the next ran its own: 2 begun, and 3 children see one value",
        "2 permits, 5 workers: 2 were at the counter at most",
        "worker-1 was ended by SIGKILL: its permit is back",
        "3 phases in step, each phase with one leader",
        "(doomed) died while it waited",
        "the barrier was reset, and 3 went through",
    ] {
        assert!(out.contains(told), "expected `{told}` in:\n{out}");
    }
    let (out, err, status) = run(LOCKS, &["oncelock"]);
    assert_eq!((err.as_str(), status, out.lines().count()), ("", 0, 2), "one scene: {out}");
}
