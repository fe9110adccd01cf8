//! The client's side: the handle, its orders, and what it does when the server has died.

use crate::error::{Error, ErrorKind, Result};
use crate::process::builder::{self, Born, Builder};
use crate::process::child::Child;
use crate::process::exit::JoinError;
use crate::process::family;
use crate::process::fork_server::error::SpawnError;
use crate::process::fork_server::landing::{self, Entry, Land};
use crate::process::fork_server::order::{Order, PACKET_BYTES_MAX, Reply};
use crate::process::fork_server::server::Server;
use crate::process::lifeline::Leash;
use crate::process::outcome::Cell;
use crate::process::panic::ProcessInfo;
use crate::process::record::Record;
use crate::sys::sibling::Siblings;
use crate::sys::{Errno, handover, lifeline, parcel, signal, socket};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A small process with one thread that forks children for this one: from any thread, at any time, and as fast when this
/// process has grown to gigabytes as on its first day.
///
/// [`spawn`](crate::spawn) copies this process as it is: that takes time with its size, and is refused while there are other threads.
/// A fork server is a copy of this process *as it was when the server started*, and its children are copies of that one. So start
/// it first thing in `main`: before threads, big allocations, and files that are to be closed some day.
///
/// ```
/// fn count(text: String) -> usize {
///     text.split_whitespace().count()
/// }
///
/// # fn main() -> offspring::Result<()> {
/// let server = offspring::ForkServer::start()?;
/// let server = &server;
/// let counts = std::thread::scope(|threads| {
///     let texts = ["to be", "or not to be"];
///     let counting = texts.map(|text| {
///         threads.spawn(move || server.spawn(count, text.to_owned()).unwrap().join().unwrap())
///     });
///     counting.map(|thread| thread.join().unwrap())
/// });
/// assert_eq!(counts, [2, 4]);
/// # Ok(()) }
/// ```
///
/// # What a child of a fork server has
///
/// - Its arguments, and the descriptors that were handed over with them ([`spawn_with_fds`](Self::spawn_with_fds)).
/// - Memory as of the server's start: statics with the values that they had, and the locks, queues and regions
///   ([`Shared`](crate::Shared)) that existed; those it shares with everybody, through a static for instance. What was made
///   later does not exist in it.
/// - Descriptors, the working directory, the signal mask and handlers as of the server's start; its environment variables, too.
///   Ends of [pipes](crate::pipe()) of this crate are let go.
/// - [`at_fork_child`](crate::at_fork_child) hooks that were registered before the server's start. They run in the children, not in the
///   server. `pthread_atfork` handlers of C libraries run in the server and not in the children.
///
/// In all else it is a child of *this* process: it is joined here, ends when this process ends (unless
/// [`outlive_parent`](Builder::outlive_parent)), has its place among [`children`](crate::children), and goes on if the server dies.
///
/// # When the server dies
///
/// It is killed, or the machine runs out of memory: the next request finds that out and starts it anew, as a copy of this process as
/// it is then, if there is no other thread. If there is one, the request is refused with
/// [`ServerDied`](ErrorKind::ServerDied), which tells how the server ended. An order that is under way when it happens is carried out
/// once or not at all, and the caller knows which.
///
/// The handle is of use in the process that started the server alone: a child with a copy of it starts one of its own. (Or it
/// uses [`spawn`](crate::spawn): a child of a fork server is small and has one thread.)
#[derive(Clone)]
pub struct ForkServer {
    shared: Arc<Shared>,
}

/// What the clones of a handle share.
struct Shared {
    /// The client's pid. In a copy of the client the handle is of no use: the children would be another's.
    owner: u32,
    /// Locked for the length of an order and its reply.
    state: Mutex<State>,
}

enum State {
    Running(Running),
    /// It has died and was not started anew: which, and how it ended.
    Ended {
        pid: u32,
        how: String,
    },
}

struct Running {
    line: OwnedFd,
    child: Child<()>,
}

/// The function to call, and what it is to have.
struct Job<'a> {
    landing: Land,
    /// The type of its function.
    task: &'static str,
    target: usize,
    bytes: &'a [u8],
    descriptors: &'a [BorrowedFd<'a>],
}

impl ForkServer {
    /// Forks the server, as a child of this process named `fork-server`. It ends when the last clone of the handle is dropped, and
    /// with this process, however that ends.
    ///
    /// # Errors
    /// As [`spawn`](crate::spawn), [`MultiThreaded`](ErrorKind::MultiThreaded) among them; [`Unsupported`](ErrorKind::Unsupported) where
    /// the kernel or the C library does not tell where the latter keeps a thread's id (glibc, and a kernel with
    /// CONFIG_CHECKPOINT_RESTORE, do).
    pub fn start() -> Result<ForkServer> {
        let state = Mutex::new(State::Running(Running::launch(None)?));
        Ok(ForkServer { shared: Arc::new(Shared { owner: signal::pid(), state }) })
    }

    /// Forks a child that calls `f` with `args`; its handle is like any other [`Child`]'s.
    ///
    /// `f` is a function, or a closure that captures nothing: it is in the server already, and only its name travels. The arguments
    /// travel as [`postcard`](https://docs.rs/postcard) encodes them and may be of any size; so does the result. Blocks until the
    /// child is there (some 0.1 ms); threads that use one handle take turns for that time.
    ///
    /// # Errors
    /// The [`SpawnError`] hands the arguments back. Its [`error`](SpawnError::error) is
    /// - [`Encoding`](ErrorKind::Encoding) if they cannot be encoded. (That they cannot be *decoded* is found out by the child:
    ///   its [`join`](Child::join) fails.)
    /// - [`ServerDied`](ErrorKind::ServerDied) if the server has died and there are other threads, so that it cannot be started anew;
    /// - [`LimitReached`](ErrorKind::LimitReached) or [`OutOfMemory`](ErrorKind::OutOfMemory) if this process or the server has no
    ///   room for the child;
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the server is another process's, or if `f` lies in a library that was loaded
    ///   after the server's start.
    ///
    /// ```
    /// # fn main() -> offspring::Result<()> {
    /// let server = offspring::ForkServer::start()?;
    /// let child = server.spawn(|(a, b): (u64, u64)| a + b, (3, 4))?;
    /// assert_eq!(child.join().unwrap(), 7);
    /// # Ok(()) }
    /// ```
    ///
    /// A closure that captures something is refused by the compiler:
    ///
    /// ```compile_fail,E0080
    /// # fn main() -> offspring::Result<()> {
    /// let server = offspring::ForkServer::start()?;
    /// let factor = 3;
    /// server.spawn(move |a: u64| a * factor, 4)?;
    /// # Ok(()) }
    /// ```
    pub fn spawn<F, A, R>(&self, f: F, args: A) -> std::result::Result<Child<R>, SpawnError<A>>
    where
        F: FnOnce(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.spawn_with(Builder::new(), f, args)
    }

    /// The same with options. [`Builder::allow_threads`] has no meaning here.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_with<F, A, R>(
        &self,
        builder: Builder,
        f: F,
        args: A,
    ) -> std::result::Result<Child<R>, SpawnError<A>>
    where
        F: FnOnce(A) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        // Its copy in the child is made from its type alone.
        let _ = f;
        self.order_with(builder, (landing::land::<F, A, R>, std::any::type_name::<F>()), args, &[])
    }

    /// The same with descriptors that the child is to have: `f` gets them in this order, with numbers of their own.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), and [`InvalidInput`](ErrorKind::InvalidInput) for more than 252.
    ///
    /// ```
    /// use std::io::{Read, Write, pipe};
    /// use std::os::fd::{AsFd, OwnedFd};
    ///
    /// fn greet(name: String, mut fds: Vec<OwnedFd>) {
    ///     let mut to = std::fs::File::from(fds.remove(0));
    ///     write!(to, "hello, {name}").unwrap();
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = offspring::ForkServer::start()?;
    /// let (mut reader, writer) = pipe()?;
    /// let builder = offspring::Builder::new().name("greeter");
    /// let child = server.spawn_with_fds(builder, greet, "world".to_owned(), &[writer.as_fd()])?;
    /// drop(writer);
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello, world");
    /// child.join()?;
    /// # Ok(()) }
    /// ```
    pub fn spawn_with_fds<F, A, R>(
        &self,
        builder: Builder,
        f: F,
        args: A,
        fds: &[BorrowedFd<'_>],
    ) -> std::result::Result<Child<R>, SpawnError<A>>
    where
        F: FnOnce(A, Vec<OwnedFd>) -> R + Copy,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let _ = f;
        self.order_with(
            builder,
            (landing::land_with_fds::<F, A, R>, std::any::type_name::<F>()),
            args,
            fds,
        )
    }

    /// Forks a child that calls `entry` with copies of these bytes and descriptors: for what knows its function by address alone.
    pub(crate) fn start_child(
        &self,
        builder: Builder,
        entry: Entry,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Child<()>> {
        let target = (entry as *const ()).expose_provenance();
        let job = Job { landing: landing::land_raw, task: "", target, bytes, descriptors };
        self.order(builder, &job).map(Child::new)
    }

    /// The pid of the server; after its death, until it is started anew, that of the last one.
    pub fn pid(&self) -> u32 {
        match &*self.shared.state() {
            State::Running(running) => running.child.pid(),
            State::Ended { pid, .. } => *pid,
        }
    }

    fn order_with<A: Serialize, R>(
        &self,
        builder: Builder,
        (landing, task): (Land, &'static str),
        args: A,
        descriptors: &[BorrowedFd<'_>],
    ) -> std::result::Result<Child<R>, SpawnError<A>> {
        let encoded = postcard::to_stdvec(&args).map_err(|error| {
            let of = std::any::type_name::<A>();
            Error::new(ErrorKind::Encoding, "encode", "the arguments", format!("{of}: {error}"))
        });
        let ordered = encoded.and_then(|bytes| {
            let job = Job { landing, task, target: 0, bytes: &bytes, descriptors };
            self.order(builder, &job)
        });
        match ordered {
            Ok(record) => Ok(Child::new(record)),
            Err(error) => Err(SpawnError { error, args }),
        }
    }

    /// Not generic, so that it is compiled once.
    fn order(&self, builder: Builder, job: &Job<'_>) -> Result<Arc<Record>> {
        self.check_owner()?;
        let (name, outlive) = builder.into_parts();
        let (parent, name, cell) = {
            let mut family = family::lock();
            family.sweep();
            let name = name.unwrap_or_else(|| family.next_name());
            let cell = family.board()?.take();
            let cell = cell.map_err(|errno| Error::os("make room for", name.clone(), errno))?;
            (family.me().pid(), name, cell)
        };
        let pid = self.place(job, &name, outlive, &cell)?;
        let pidfd = builder::open(pid).map_err(|errno| Error::os("open", name.clone(), errno))?;
        let (process, leash) = (ProcessInfo::new(pid, name), Leash::elsewhere(parent, outlive));
        let record = Arc::new(Record::new(parent, process, pidfd, cell, leash, job.task));
        family::lock().add(Arc::clone(&record));
        family::say_departed();
        record.say_start();
        Ok(record)
    }

    /// Has the child forked, and returns its pid. A server that has died is started anew, once.
    fn place(&self, job: &Job<'_>, name: &str, outlive: bool, cell: &Cell) -> Result<u32> {
        let mut order = Order {
            landing: (job.landing as *const ()).expose_provenance(),
            target: job.target,
            cell: cell.index(),
            outlive,
            has_parcel: false,
            name,
        };
        let encode = |order: &Order<'_>| postcard::to_stdvec(order).unwrap_or_default();
        let mut head = encode(&order);
        let error = |errno| Error::os("tell the fork server about", name.to_owned(), errno);
        let (mut body, mut packed) = (job.bytes, None);
        if head.len() + body.len() > PACKET_BYTES_MAX {
            order.has_parcel = true;
            (head, body) = (encode(&order), &[]);
            packed = Some(parcel::pack(job.bytes).map_err(error)?);
        }
        let mut descriptors: Vec<BorrowedFd<'_>> = packed.iter().map(AsFd::as_fd).collect();
        descriptors.extend_from_slice(job.descriptors);
        if job.descriptors.len() >= handover::DESCRIPTORS_MAX || head.len() > PACKET_BYTES_MAX {
            let detail =
                "at most 252 descriptors, and a name of at most 60 KiB, can be handed to a child";
            return Err(Error::new(ErrorKind::InvalidInput, "spawn", name.to_owned(), detail));
        }
        let stray = packed.as_ref().map(AsRawFd::as_raw_fd);
        let mut state = self.shared.state();
        let mut is_anew = state.revive(stray)?;
        loop {
            let State::Running(running) = &*state else { unreachable!("revived") };
            match running.ask(&head, body, &descriptors).map_err(error)? {
                Some(Reply::Born(pid)) => return Ok(pid),
                Some(Reply::Refused(refusal, errno)) => return Err(refusal.error(name, errno)),
                None => {}
            }
            state.bury();
            // The kernel's word. The server is dead, so it will not come into being later.
            match cell.born().load(Ordering::Acquire) {
                0 if is_anew => return Err(state.death("was started anew by this request")),
                0 => is_anew = state.revive(stray)?,
                pid => return Ok(pid),
            }
        }
    }

    fn check_owner(&self) -> Result<()> {
        if signal::pid() == self.shared.owner {
            return Ok(());
        }
        let detail = format!(
            "it is the fork server of process {}, whose children it makes; start one in this process",
            self.shared.owner
        );
        Err(Error::new(ErrorKind::InvalidInput, "spawn", "a child by a fork server", detail))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if signal::pid() == self.owner {
            return state.bury();
        }
        // In a copy of the client the line is closed, and its number may be another descriptor's by now.
        let nobody = State::Ended { pid: 0, how: String::new() };
        if let State::Running(running) = std::mem::replace(state, nobody) {
            let _ = running.line.into_raw_fd();
        }
    }
}

impl State {
    /// Starts the server anew if it has died; says whether it had.
    fn revive(&mut self, stray: Option<RawFd>) -> Result<bool> {
        if matches!(self, State::Running(_)) {
            return Ok(false);
        }
        match Running::launch(stray) {
            Ok(running) => *self = State::Running(running),
            Err(error) if error.kind() == ErrorKind::MultiThreaded => {
                let so = "cannot be started anew while this process has other threads";
                return Err(self.death(so));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Ends the server, if it has not ended yet, and remembers how it did.
    fn bury(&mut self) {
        let nobody = State::Ended { pid: 0, how: String::new() };
        let State::Running(Running { line, child }) = std::mem::replace(self, nobody) else {
            return;
        };
        // Before the number can be another's.
        family::lock().remove_line(line.as_raw_fd());
        drop(line);
        let pid = child.pid();
        let _ = child.kill();
        let how = match child.join() {
            Err(JoinError::Exited(exit, _)) => exit.to_string(),
            Err(JoinError::Failed(error)) => error.to_string(),
            Ok(()) => "ended by itself".to_owned(),
        };
        *self = State::Ended { pid, how };
    }

    /// The error of an order that found the server dead.
    fn death(&self, so: &str) -> Error {
        let (pid, how) = match self {
            State::Running(running) => (running.child.pid(), "is alive"),
            State::Ended { pid, how } => (*pid, how.as_str()),
        };
        let detail = format!("it {how}, and {so}");
        Error::new(ErrorKind::ServerDied, "spawn by", format!("fork-server (pid {pid})"), detail)
    }
}

impl Running {
    /// Forks a server. `stray` is a descriptor of the order that waits for it, and nothing for the server to keep.
    fn launch(stray: Option<RawFd>) -> Result<Running> {
        let error = |errno| Error::os("start", "fork-server", errno);
        Siblings::of_this_thread().map_err(error)?;
        let (line, servers) = socket::pair().map_err(error)?;
        match Builder::new().name("fork-server").resident().fork(false, "fork-server")? {
            Born::Here(record, bequest) => {
                drop(servers);
                bequest.tell(());
                record.say_start();
                family::lock().add_line(line.as_raw_fd());
                let running = Running { line, child: Child::new(record) };
                match running.hear() {
                    Some(Reply::Born(_)) => Ok(running),
                    Some(Reply::Refused(refusal, errno)) => {
                        State::Running(running).bury();
                        Err(refusal.error("fork-server", errno))
                    }
                    None => {
                        let mut state = State::Running(running);
                        state.bury();
                        Err(state.death("has not come to serve anybody"))
                    }
                }
            }
            Born::There(seat, family, bequest) => {
                drop(line);
                stray.into_iter().for_each(lifeline::close);
                let board = Arc::clone(seat.cell.board());
                seat.serve(family, bequest, || {
                    Server::run(servers, board);
                })
            }
        }
    }

    /// Sends an order and waits for the reply; `None` if the server has died.
    fn ask(
        &self,
        head: &[u8],
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> std::result::Result<Option<Reply>, Errno> {
        match handover::send(self.line.as_fd(), head, body, descriptors) {
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => Ok(None),
            sent => sent.map(|()| self.hear()),
        }
    }

    /// Waits for a reply.
    fn hear(&self) -> Option<Reply> {
        let mut reply = [0; Reply::BYTES];
        match handover::receive(self.line.as_fd(), &mut reply) {
            Ok(packet) if packet.bytes == Reply::BYTES => Some(Reply::from_bytes(reply)),
            // Whatever else it is, it is no server any more.
            Ok(_) | Err(_) => None,
        }
    }
}

impl fmt::Debug for ForkServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForkServer").field("pid", &self.pid()).finish()
    }
}

const _: () = {
    const fn works_from_several_threads<T: Send + Sync + Clone>() {}
    works_from_several_threads::<ForkServer>();
};
