//! The command line of a test binary, as far as it matters here; flags of libtest that do not are ignored.

/// What to run and how.
#[derive(Default)]
pub(crate) struct Args {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    ignored: bool,
    pub(crate) list: bool,
    pub(crate) nocapture: bool,
}

impl Args {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Args {
        /// libtest's flags that are followed by a value which is no filter.
        const VALUED: [&str; 6] =
            ["--test-threads", "--format", "--color", "--logfile", "-Z", "--shuffle-seed"];
        let mut parsed = Args::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => parsed.list = true,
                "--exact" => parsed.exact = true,
                "--ignored" => parsed.ignored = true,
                "--nocapture" | "--no-capture" => parsed.nocapture = true,
                "--skip" => parsed.skips.extend(args.next()),
                flag if VALUED.contains(&flag) => drop(args.next()),
                flag if flag.starts_with("--skip=") => {
                    parsed.skips.push(flag["--skip=".len()..].into())
                }
                flag if flag.starts_with('-') => {}
                filter => parsed.filters.push(filter.into()),
            }
        }
        parsed
    }

    /// Whether the case of this name is to run. `--ignored` selects ignored cases, and there are none.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let hit = |pattern: &String| match self.exact {
            true => name == pattern,
            false => name.contains(pattern.as_str()),
        };
        let wanted = self.filters.is_empty() || self.filters.iter().any(hit);
        wanted && !self.skips.iter().any(hit) && !self.ignored
    }
}
