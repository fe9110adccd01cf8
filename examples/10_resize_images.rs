//! A batch of images, scaled down in parallel. One that is broken is named, the others are done.
//!
//! ```text
//! cargo run --release --example 10_resize_images
//! cargo run --release --example 10_resize_images -- FOLDER --pixels 320 --to SMALL
//! ```
//!
//! Without a folder it makes images of its own in a temporary folder, one of them broken on purpose. What it prints:
//!
//! ```text
//! 16 images of at most 200 pixels a side
//!   not done       "broken.png": Format error decoding Png: Invalid PNG signature.
//!   one process    612 ms
//!   2 processes    318 ms, 1.92 times as fast
//! ```
//!
//! Each image is one task of a `Pool`, so a decoder that crashes costs its image, and not the batch.
//!
//! The exit status is 1 if an image could not be done (one that is broken on purpose apart), and 2 for arguments that make no sense.

mod terminal;

use image::{DynamicImage, ImageReader, RgbImage};
use offspring::pool::MapOptions;
use offspring::{Pool, available_workers};
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use terminal::{Style, grouped, paint};

const USAGE: &str = "\
Scales the PNG and JPEG images of a folder down, in one process and then in several.

Usage: 10_resize_images [FOLDER] [--pixels N] [--to FOLDER] [--workers N]

  FOLDER            where the images are (default: a temporary one with images that are made now)
  -p, --pixels N    so many pixels a side at most, from 1 to 10000 (default: 200)
  -t, --to FOLDER   where the small ones go, under the same names (default: the folder `small` in FOLDER)
  -w, --workers N   how many processes, from 1 to 256 (default: one for each processor)
";

struct Options {
    folder: Option<PathBuf>,
    to: Option<PathBuf>,
    pixels: u32,
    workers: usize,
}

/// The task: one image, from a path to a path. These are sent as the bytes that they are.
fn resize((from, to, pixels): (OsString, OsString, u32)) -> Result<(), String> {
    let work = || -> Result<(), Box<dyn Error>> {
        let image = ImageReader::open(&from)?.decode()?;
        let is_small = image.width() <= pixels && image.height() <= pixels;
        let small = if is_small { image } else { image.thumbnail(pixels, pixels) };
        Ok(small.save(&to)?)
    };
    work().map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let options = match parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => return terminal::show(USAGE, ExitCode::SUCCESS),
        Err(error) => return terminal::misuse(&error),
    };
    match run(&options) {
        Ok((text, status)) => terminal::show(&text, status),
        Err(error) => terminal::failure(&error),
    }
}

fn run(options: &Options) -> Result<(String, ExitCode), Box<dyn Error>> {
    let (made, broken_on_purpose) = match options.folder {
        Some(_) => (None, 0),
        None => (Some(Made::new()?), 1),
    };
    let folder = made.as_ref().map(|made| &made.0).or(options.folder.as_ref());
    let folder = folder.ok_or("no folder")?;
    let names = images_in(folder).map_err(|error| format!("{folder:?}: {error}"))?;
    let to = options.to.clone().unwrap_or_else(|| folder.join("small"));
    fs::create_dir_all(&to).map_err(|error| format!("{to:?}: {error}"))?;

    let jobs: Vec<(OsString, OsString, u32)> = names
        .iter()
        .map(|name| (folder.join(name).into(), to.join(name).into(), options.pixels))
        .collect();
    // One process besides this one too, so that the same is compared, and nothing can crash this one.
    let (alone, _) = resize_all(1, &jobs)?;
    let (together, failures) = resize_all(options.workers, &jobs)?;

    let (count, pixels) = (grouped(names.len() as u64), options.pixels);
    let title = format!("{count} images of at most {pixels} pixels a side");
    let mut text = format!("{}\n", paint(Style::Title, title));
    for (place, why) in &failures {
        let what = paint(Style::Bad, format!("{:?}: {why}", names[*place]));
        writeln!(text, "  not done       {what}")?;
    }
    writeln!(text, "  one process    {} ms", alone.as_millis())?;
    let label = format!("{} processes", options.workers);
    let faster = alone.as_secs_f64() / together.as_secs_f64();
    writeln!(text, "  {label:<13}  {} ms, {faster:.2} times as fast", together.as_millis())?;
    Ok((text, ExitCode::from(u8::from(failures.len() > broken_on_purpose))))
}

/// How long it took, and which were not done.
fn resize_all(
    workers: usize,
    jobs: &[(OsString, OsString, u32)],
) -> Result<(Duration, Vec<(usize, String)>), offspring::Error> {
    let pool = Pool::new(workers)?;
    let started = Instant::now();
    // Each is much work, so each travels alone.
    let results = pool.map_each(MapOptions::new().chunk(1), resize, jobs.iter().cloned());
    let took = started.elapsed();
    pool.shutdown()?;
    let mut failures = Vec::new();
    for (place, result) in results.into_iter().enumerate() {
        // Two ways to fail: the image's, and the task's (a panic, a worker that was killed).
        if let Err(why) = result.unwrap_or_else(|error| Err(error.to_string())) {
            failures.push((place, why));
        }
    }
    Ok((took, failures))
}

/// The names of the files that look like images, in order.
fn images_in(folder: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["png", "jpg", "jpeg"].iter().any(|known| ending == *known) && path.is_file() {
            names.extend(path.file_name().map(OsString::from));
        }
    }
    names.sort();
    Ok(names)
}

/// A temporary folder with images, which is gone at the end.
struct Made(PathBuf);

impl Made {
    fn new() -> Result<Made, Box<dyn Error>> {
        let path = std::env::temp_dir().join(format!("offspring-images-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{path:?}: {error}"))?;
        let made = Made(path);
        for nth in 1..=15 {
            let image = RgbImage::from_fn(480, 360, |x, y| {
                let ring = (x * x + y * y) / (40 * nth);
                image::Rgb([x as u8, y as u8, ring as u8])
            });
            let ending = if nth % 3 == 0 { "jpg" } else { "png" };
            let name = format!("rings-{nth:02}.{ending}");
            DynamicImage::from(image).save(made.0.join(name))?;
        }
        fs::write(made.0.join("broken.png"), "this is not a picture")?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Nothing can be done about a folder that stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `None` if the user asked for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let mut options = Options { folder: None, to: None, pixels: 200, workers: available_workers() };
    while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
        match arg {
            Short('p') | Long("pixels") => {
                options.pixels = terminal::number(&mut parser, "--pixels", 1, 10_000)? as u32;
            }
            Short('t') | Long("to") => {
                let to = parser.value().map_err(|error| error.to_string())?;
                options.to = Some(to.into());
            }
            Short('w') | Long("workers") => {
                options.workers = terminal::number(&mut parser, "--workers", 1, 256)? as usize;
            }
            Value(path) if options.folder.is_none() => options.folder = Some(path.into()),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if options.folder.is_none() && options.to.is_some() {
        return Err("--to wants a FOLDER to take images from".to_owned());
    }
    Ok(Some(options))
}
