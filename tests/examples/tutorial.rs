//! `tutorial`: each program of docs/FROM_PYTHON.md. What is the same at each run is compared with what that page shows.

use crate::run;
use crate::support::{Case, case};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../docs/FROM_PYTHON.md");

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(tutorial_page_has_every_program),
        case!(tutorial_programs_print_what_the_page_shows),
        case!(tutorial_runs_chapters),
        case!(tutorial_two_at_once_each_in_order),
        case!(tutorial_random_trap_and_ways_out),
        case!(tutorial_greetings_are_not_torn),
        case!(tutorial_executor_lets_the_slow_be_overtaken),
        case!(tutorial_timing_has_table_and_bars),
        case!(tutorial_tasks_know_their_worker),
        case!(tutorial_cores_have_a_worker_each),
        case!(tutorial_lists_are_counted),
        case!(tutorial_master_has_all_results),
    ]
}

/// The lines that a program prints; it must go well.
fn lines(program: &str) -> Vec<String> {
    let (out, err, status) = run("tutorial", &[program]);
    assert_eq!((err.as_str(), status), ("", 0), "{program}: {out}");
    assert!(!out.contains('\x1b'), "colours in a pipe: {out:?}");
    out.lines().map(String::from).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// The lines that the page shows below a program's command.
fn shown(program: &str) -> Vec<String> {
    let command = format!("\n$ cargo run --example tutorial -- {program}\n");
    let (_, rest) = PAGE.split_once(&command).unwrap_or_else(|| panic!("{program} on the page"));
    let (block, _) = rest.split_once("```").expect("the end of the block");
    block.lines().map(String::from).collect()
}

/// The programs that `--help` lists.
fn programs() -> Vec<String> {
    let (help, _, _) = run("tutorial", &["--help"]);
    let programs = help.lines().skip_while(|line| *line != "processes");
    let programs = programs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    programs.map(String::from).collect()
}

fn tutorial_page_has_every_program() {
    let programs = programs();
    assert!(programs.len() >= 18, "{programs:?}");
    for program in programs {
        assert!(!shown(&program).is_empty(), "{program}");
        let (_, rest) = PAGE
            .split_once(&format!("\npub(crate) fn {program}() -> Done {{\n"))
            .unwrap_or_else(|| panic!("{program} is not on the page"));
        let (block, _) = rest.split_once("\n```").expect("the end of the block");
        assert!(block.lines().any(|line| line == "}"), "{program} is not whole on the page");
    }
}

fn tutorial_programs_print_what_the_page_shows() {
    for program in
        ["hello", "argument", "squares", "evens", "one_way", "request", "in_order", "map"]
    {
        assert_eq!(lines(program), shown(program), "{program}");
    }
    // The page itself is right.
    assert_eq!(shown("hello"), ["hello world"]);
    let squares = shown("squares");
    for (line, n) in squares.iter().zip([43, 50, 5, 98, 34, 35]) {
        assert_eq!(*line, format!("{n} squared is {}", n * n));
    }
    assert_eq!(squares.len(), 6);
    assert_eq!(shown("evens"), ["0", "2", "4", "6", "8", "10", "12", "14", "16", "18"]);
    assert_eq!(shown("in_order"), items().map(|n| format!("item {n} is done")).collect::<Vec<_>>());
    assert_eq!(shown("map"), ["[1, 4, 9, 16, 25, 36, 49, 64, 81, 100]"]);
}

fn tutorial_runs_chapters() {
    let (out, err, status) = run("tutorial", &["queues"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    let titles = ["random_queue", "evens", "one_way", "request"].map(|name| format!("{name}: "));
    let places = titles.map(|title| out.find(&title).unwrap_or_else(|| panic!("{title} in {out}")));
    assert!(places.is_sorted(), "{out}");
    let (out, err, status) = run("tutorial", &["nothing"]);
    assert_eq!((out.as_str(), status, err.lines().count()), ("", 2, 1), "{err}");
}

fn tutorial_two_at_once_each_in_order() {
    let (squares, evens): (Vec<String>, Vec<String>) =
        lines("two_at_once").into_iter().partition(|line| line.contains("squared"));
    assert_eq!(squares, shown("squares"));
    assert_eq!(evens, ["50 is even", "98 is even", "34 is even"]);
}

fn tutorial_random_trap_and_ways_out() {
    let numbers = |program| -> Vec<u64> {
        let numbers = lines(program).into_iter().map(|line| line.parse().expect("a number"));
        numbers.collect()
    };
    for (program, different) in [("random_trap", 1), ("random", 4), ("random_queue", 4)] {
        let numbers = numbers(program);
        assert_eq!(numbers.len(), 4, "{program}");
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), different, "{program}");
    }
    assert_ne!(numbers("random"), numbers("random"));
}

fn tutorial_greetings_are_not_torn() {
    let names = ["Ada", "Barbara", "Edsger", "Grace", "Leslie", "Tony"];
    let expected = names.map(|name| format!("hello, {name}"));
    for _ in 0..10 {
        assert_eq!(sorted(lines("greetings")), expected);
    }
}

fn items() -> impl Iterator<Item = u32> {
    (0..10).map(|nth| 1 + 3 * nth)
}

fn tutorial_executor_lets_the_slow_be_overtaken() {
    let overtaken = || {
        let mut lines = lines("executor");
        let last = lines.pop().expect("a last line");
        let (took, sum) = last.split_once(" ms; one after the other, ").expect("two times");
        took.parse::<u64>().expect("a number");
        assert_eq!(sum, "260 ms");
        let is_first = lines[0] == "item 1 is done";
        let expected = sorted(items().map(|n| format!("item {n} is done")).collect());
        assert_eq!(sorted(lines), expected);
        !is_first
    };
    // On a busy machine the other workers may come late, but not always.
    assert!((0..20).any(|_| overtaken()), "one after the other");
}

fn tutorial_timing_has_table_and_bars() {
    let lines = lines("timing");
    let cores = format!("cores: {}", offspring::available_workers());
    assert_eq!(lines[..2], [cores.as_str(), "workers     ms  speed-up"]);
    assert_eq!(lines.len(), 7);
    for (line, workers) in lines[2..].iter().zip(["1", "2", "4", "8", "16"]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words.len(), words[0]), (4, workers), "{line}");
        assert!(words[1].parse::<f64>().is_ok_and(|ms| ms > 0.0), "{line}");
        assert!(words[2].parse::<f64>().is_ok_and(|speed| speed > 0.0), "{line}");
        assert_eq!(words[3].chars().count(), 32, "{line}");
        assert!(words[3].starts_with(|c| "█▉▊▋▌▍▎▏".contains(c)), "{line}");
    }
    assert!(lines[2].contains("    1.00  █"), "{}", lines[2]);
    let longest = "█".repeat(32);
    assert!(lines.iter().any(|line| line.ends_with(&longest)), "{lines:?}");
}

fn tutorial_tasks_know_their_worker() {
    let mut pids = BTreeMap::new();
    let lines = lines("who");
    for (nth, line) in lines.iter().enumerate() {
        let signature = line.strip_prefix(&format!("task {} was done by ", nth + 1));
        let signature = signature.and_then(|rest| rest.strip_suffix(')')?.split_once(" ("));
        let (name, pid) = signature.unwrap_or_else(|| panic!("{line}"));
        assert!(["crew-1", "crew-2", "crew-3"].contains(&name), "{line}");
        let pid: u32 = pid.parse().expect("a pid");
        assert_eq!(*pids.entry(name.to_owned()).or_insert(pid), pid, "one name, one process");
    }
    assert_eq!(lines.len(), 6);
    assert_eq!(pids.values().collect::<BTreeSet<_>>().len(), pids.len(), "one process, one name");
}

fn tutorial_cores_have_a_worker_each() {
    let mut lines = lines("cores");
    let cores = offspring::available_workers();
    assert_eq!(lines.pop(), Some(format!("{cores} cores, and as many workers")));
    let expected = (1..=cores).map(|nth| format!("worker-{nth} is ready"));
    assert_eq!(sorted(lines), sorted(expected.collect()));
}

fn tutorial_lists_are_counted() {
    let counts = [3, 2, 0, 5].into_iter().enumerate();
    let expected = counts.map(|(nth, count)| format!("list {nth} has {count} numbers from 4 to 8"));
    let expected: Vec<String> = expected.collect();
    assert_eq!(sorted(lines("lists")), expected);
    assert_eq!(sorted(shown("lists")), expected);
}

fn tutorial_master_has_all_results() {
    const PRIMES: [u32; 12] = [168, 303, 430, 550, 669, 783, 900, 1007, 1117, 1229, 1335, 1438];
    let mut found = Vec::new();
    for line in lines("master") {
        let (what, name) = line.split_once(", says worker-").expect("a name");
        assert!(["1", "2", "3", "4"].contains(&name), "{line}");
        found.push(what.to_owned());
    }
    let below = |nth: usize| format!("{} primes below {}", PRIMES[nth], (nth + 1) * 1000);
    assert_eq!(sorted(found), sorted((0..12).map(below).collect()));
}
