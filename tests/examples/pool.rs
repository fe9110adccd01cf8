//! The examples of many children: `07_pool` to `10_resize_images`, and `12_survive`.

use crate::{EXECUTOR, Folder, IMAGES, PIPELINE, POOL, SURVIVE, end_of, example, run};
use image::{DynamicImage, RgbImage};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

pub(crate) fn pool_counts_primes() {
    let (out, err, status) = run(POOL, &["--workers", "2"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    for part in [
        " ms: 17,984 primes below 200,000",
        "the 1,000th prime is 7,919, the 2,000th is 17,389",
        "the task panicked: there is no 0th prime",
        "the 300th is 1,987",
        "the 500th is 3,571",
        "the 4,000th is 37,813",
        "200 of 200 ranges, each drawn when it was done: 17,984 primes",
    ] {
        assert!(out.contains(part), "expected {part:?} in:\n{out}");
    }
    assert!(!out.contains(['\x1b', '\r']), "{out:?}");
}

pub(crate) fn executor_finds_the_same() {
    let folder = Folder::new("same");
    let mut twins =
        ["a", "old/a", "old/older/name\nwith a line end"].map(|name| folder.put(name, "the same"));
    folder.put("other", "not this");
    let empty = ["empty", "old/empty"].map(|name| folder.put(name, ""));
    (0..100).for_each(|n| drop(folder.put(format!("many/{n}"), format!("file {n}"))));
    let locked = folder.put("locked", "the same");
    fs::set_permissions(&locked, Permissions::from_mode(0o000)).expect("change the mode");

    let (out, err, status) = end_of(example(EXECUTOR).arg(&folder.0));
    // Root reads what has no permissions.
    let is_root = File::open(&locked).is_ok();
    assert_eq!((err.as_str(), status), ("", i32::from(!is_root)), "{out}");
    twins.sort();
    let mut same = vec![format!("same content, 0 bytes:\n  {:?}\n  {:?}\n", empty[0], empty[1])];
    let mut names = twins.map(|path| format!("  {path:?}\n")).to_vec();
    if is_root {
        names.push(format!("  {locked:?}\n"));
        names.sort();
    } else {
        same.push(format!("{locked:?}: Permission denied (os error 13)\n"));
    }
    same.push(format!("same content, 8 bytes:\n{}", names.concat()));
    for part in same {
        assert!(out.contains(&part), "expected {part:?} in:\n{out}");
    }
    let files = if is_root { "107 files" } else { "106 files" };
    assert!(out.contains(files), "expected {files:?} in:\n{out}");
    assert_eq!(out.matches("same content").count(), 2, "{out}");
}

pub(crate) fn pipeline_keeps_all_jobs() {
    let (out, err, status) = run(PIPELINE, &["--jobs", "60", "--workers", "3"]);
    assert_eq!((err.as_str(), status), ("", 0), "{out}");
    assert!(out.starts_with("1 cruncher     60 jobs in "), "{out}");
    assert!(out.contains("\n3 crunchers    60 jobs in "), "{out}");
    let last = out.lines().last().unwrap_or_default();
    // On one processor the others may have done everything before the first had a job.
    let ends = ["one is killed with a job", "one had nothing to do"];
    assert!(ends.iter().any(|end| last.contains(end)), "{out}");
    assert!(last.ends_with(": 60 results, each once, in the order of the jobs"), "{out}");
    let (_, err, status) = run(PIPELINE, &["--jobs", "1"]);
    assert_eq!((err.as_str(), status), ("", 0));
}

pub(crate) fn images_become_small() {
    let folder = Folder::new("images");
    for (name, width, height) in [("wide.png", 80, 20), ("tall.jpg", 20, 80), ("tiny.png", 5, 4)] {
        let image = DynamicImage::from(RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8 * 3, y as u8 * 3, 90])
        }));
        image.save(folder.0.join(name)).expect("save an image");
    }
    folder.put("broken.png", "this is not a picture");
    folder.put("notes.txt", "nor is this");

    let (out, err, status) = end_of(example(IMAGES).args(["--pixels", "16"]).arg(&folder.0));
    assert_eq!((err.as_str(), status), ("", 1), "{out}");
    assert!(out.starts_with("4 images of at most 16 pixels a side\n"), "{out}");
    let broken: Vec<&str> = out.lines().filter(|line| line.contains("not done")).collect();
    assert!(broken.len() == 1 && broken[0].contains("\"broken.png\": "), "{out}");
    assert!(out.contains(" times as fast"), "{out}");
    let size = |name: &str| {
        let image = image::open(folder.0.join("small").join(name)).expect("a small image");
        (image.width(), image.height())
    };
    assert_eq!(["wide.png", "tall.jpg", "tiny.png"].map(size), [(16, 4), (4, 16), (5, 4)]);
    assert_eq!(fs::read_dir(folder.0.join("small")).expect("a folder").count(), 3);

    let (out, err, status) = end_of(example(IMAGES).arg(folder.0.join("nowhere")));
    assert_eq!((out.as_str(), status), ("", 1));
    assert!(err.contains("nowhere\": No such file"), "{err}");
}

pub(crate) fn survive_has_one_outcome_each() {
    let (out, err, status) = run(SURVIVE, &[]);
    assert_eq!(status, 0, "{out}{err}");
    let fates = [
        "returns           6 times 7 is 42",
        "panics            the task panicked: the pot is empty",
        "aborts            its worker was ended by SIGABRT",
        "exits             its worker ended with code 3",
        "overflows         its worker was ended by SIGABRT",
        "eats memory       its worker was ended by SIGABRT",
        "loops for ever    its deadline has passed, its worker was killed",
        "fails at first    begun for the third time, and done",
        "fails always      its worker was ended by SIGABRT, 3 times",
    ];
    let told: Vec<&str> = out.lines().skip(2).take(fates.len()).map(str::trim_start).collect();
    assert_eq!(told, fates);
    assert!(out.ends_with("1,000 more tasks, 1,000 right answers\n"), "{out}");
}
