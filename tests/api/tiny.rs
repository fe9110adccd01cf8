//! A crate that is as small as possible and still has one of each, and ways to break its users.

/// The crate, as a module, so that many of them fit into one run of rustdoc.
pub(crate) const CRATE: &str = r#"
mod inner { pub struct Far; pub fn free(count: usize, name: &str) -> bool { count > name.len() } }
pub use inner::{Far, free};
pub mod deep { #[derive(Clone, Debug, PartialEq)] pub struct Fields { pub width: u32, height: u32 } }
#[derive(Clone, Copy)] pub enum Kind { Left, Right(u8) }
#[non_exhaustive] pub enum Open { One }
pub struct Holder<T: Send>(T, std::marker::PhantomData<*const ()>);
unsafe impl<T: Send> Send for Holder<T> {}
impl<T: Send> Holder<T> { pub const fn new(value: T) -> Self { Holder(value, std::marker::PhantomData) }
    pub fn get(&self) -> Option<&T> { Some(&self.0) } }
impl<T: Send> std::ops::Deref for Holder<T> { type Target = T; fn deref(&self) -> &T { &self.0 } }
pub trait Act { const TIMES: u32; type Out; fn act(&self) -> Self::Out; fn twice(&self) {} }
pub struct Doer;
impl Act for Doer { const TIMES: u32 = 1; type Out = (); fn act(&self) {} fn twice(&self) {} }
macro_rules! methods { ($($name:ident)*) => { impl Far { $(pub fn $name(&self) -> Open { Open::One })* } } }
methods!(wait try_wait);
pub const LIMIT: usize = 4;
pub static NAME: &str = "tiny";
pub type Alias = Result<u8, deep::Fields>;
"#;

/// What breaks a user of the crate: what is replaced by what.
pub(crate) const MUTANTS: &[(&str, &str, &str)] = &[
    ("re-export gone", "{Far, free}", "{Far}"),
    ("module gone", "pub mod deep", "pub(crate) mod deep"),
    ("argument's type", "count: usize", "count: u64"),
    ("argument more", "name: &str)", "name: &str, _more: bool)"),
    ("result's type", "-> Option<&T>", "-> Option<&dyn std::any::Any>"),
    ("reference becomes exclusive", "get(&self)", "get(&mut self)"),
    ("const lost", "pub const fn new", "pub fn new"),
    ("unsafe gained", "pub fn get", "pub unsafe fn get"),
    ("field gone", "pub width: u32", "width: u32"),
    ("derive gone", "Clone, Debug, PartialEq", "Clone, Debug"),
    ("variant gone", "Left, ", ""),
    ("variant changed", "Right(u8)", "Right(u16)"),
    ("not exhaustive any more", "pub enum Kind", "#[non_exhaustive] pub enum Kind"),
    ("bound gained", "impl<T: Send> Holder<T> {", "impl<T: Send + Copy> Holder<T> {"),
    ("auto trait lost", "unsafe impl<T: Send> Send for Holder<T> {}", ""),
    ("auto trait lost by a field", "Left, Right(u8)", "Left, Right(&'static std::cell::Cell<u8>)"),
    ("trait's method without a default", "fn twice(&self) {} }\npub", "fn twice(&self); }\npub"),
    (
        "associated type's value",
        "type Out = (); fn act(&self) {}",
        "type Out = u8; fn act(&self) -> u8 { 1 }",
    ),
    ("method of a macro gone", "methods!(wait try_wait)", "methods!(wait)"),
    ("constant's type", "LIMIT: usize", "LIMIT: u32"),
    ("static gone", "pub static NAME", "static NAME"),
    ("alias changed", "Result<u8, deep::Fields>", "Result<u8, Kind>"),
];

/// A crate that shows the use of some of its items.
pub(crate) const SHOWN: &str = r#"
//! ```
//! let named = tiny::free(tiny::part::Used);
//! ```
/// ```
/// let engine = tiny::Engine::build();
/// engine.start(3);
/// ```
pub struct Engine;
impl Engine { pub fn build() -> Engine { Engine } pub fn start(&self, speed: u32) {} pub fn try_start(&self, speed: u32) {}
    pub fn start_timeout(&self, ms: u32) {} pub fn speed(&self) -> u32 { 0 } pub fn stop(&self) {} }
pub fn free(used: part::Used) {}
/// ```compile_fail
/// tiny::alone(1);
/// ```
pub fn alone() {}
pub mod part {
    pub struct Used;
    /// What [`Engine::start`](crate::Engine::start) sets going.
    pub struct Linked;
    /// Leads to [`Linked`], which has no example of its own.
    pub struct Lonely;
    impl Lonely { pub fn new(n: u32) -> Lonely { Lonely } }
}
"#;
