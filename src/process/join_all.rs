//! Many children, joined in one call.

use crate::process::child::Child;
use crate::process::exit::JoinError;
use serde::de::DeserializeOwned;

/// Joins all the children, and gives what their closures returned, in their order.
///
/// It waits for every one of them, also when one has failed: none is left running. A loop of [`Child::join`] with a `?` would detach those
/// behind the first failure. If `children` is a lazy iterator that spawns, all are spawned first.
///
/// # Errors
/// That of the first child, in their order, that gave no result; as [`Child::join`]. Of the others nothing is told: join by hand if each
/// failure matters.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use offspring::{join_all, spawn};
/// let children = (1..=3).map(|n| spawn(move || n * n)).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(join_all(children)?, [1, 4, 9]);
///
/// let children = [0, 3].map(|code| spawn(move || if code > 0 { std::process::exit(code) }).unwrap());
/// assert_eq!(join_all(children).unwrap_err().exit(), Some(&offspring::Exit::Code(3)));
/// # Ok(()) }
/// ```
pub fn join_all<R: DeserializeOwned>(
    children: impl IntoIterator<Item = Child<R>>,
) -> Result<Vec<R>, JoinError> {
    let children: Vec<Child<R>> = children.into_iter().collect();
    let results: Vec<Result<R, JoinError>> = children.into_iter().map(Child::join).collect();
    results.into_iter().collect()
}
