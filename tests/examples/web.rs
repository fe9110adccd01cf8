//! `11_web_server`, over its socket: what it answers, what it refuses, a worker that is killed, and its end.

use crate::support::until;
use crate::{SERVER, example};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A running server, which is killed if the case ends early.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let mut command = example(SERVER);
        command.args(["--port", "0", "--workers", "2"]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().expect("run the server");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let address =
            line.strip_prefix("listening on http://").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("expected an address: {line:?}")).to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        Server { child, lines, address }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(&self.address).expect("connect");
        stream.set_read_timeout(Some(TIMEOUT)).expect("set a timeout");
        Client(BufReader::new(stream))
    }

    /// The answer to one request on a connection of its own.
    fn ask(&self, request: &str) -> Reply {
        let mut client = self.connect();
        client.send(request);
        client.reply()
    }

    fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n"))
    }

    /// The scoreboard's lines, as words.
    fn status(&self) -> Vec<Vec<String>> {
        let text = self.get("/status").body;
        text.lines()
            .skip(1)
            .map(|line| line.split_whitespace().map(String::from).collect())
            .collect()
    }

    fn terminate(&self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("SIGTERM");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

struct Reply {
    status: u16,
    connection: String,
    body: String,
}

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("send");
    }

    /// Reads one answer, by its Content-Length.
    fn reply(&mut self) -> Reply {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line of the head");
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let field = |name: &str| {
            let value = head.iter().find_map(|line| line.strip_prefix(name));
            value.unwrap_or_else(|| panic!("expected {name:?} in {head:?}")).to_owned()
        };
        let length: usize = field("Content-Length: ").parse().expect("a number");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        Reply {
            status: status.unwrap_or_else(|| panic!("expected a status in {head:?}")),
            connection: field("Connection: "),
            body: String::from_utf8(body).expect("UTF-8"),
        }
    }

    /// Whether the server has closed the connection, with nothing left in it.
    fn is_over(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

pub(crate) fn answers_and_refuses() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    // Two requests in one packet, and a third one in two: all on one connection.
    client.send("GET / HTTP/1.1\r\n\r\nPOST /echo?x HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello");
    let (hello, echo) = (client.reply(), client.reply());
    assert!(hello.body.starts_with("hello from worker-"), "{}", hello.body);
    assert_eq!((hello.status, hello.connection.as_str()), (200, "keep-alive"));
    assert_eq!((echo.status, echo.body.as_str()), (200, "hello"));
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 6\r\nConnection: close\r\n\r\nwor");
    client.send("ld!");
    let reply = client.reply();
    assert_eq!((reply.body.as_str(), reply.connection.as_str()), ("world!", "close"));
    assert!(client.is_over());

    for (request, status) in [
        ("GET /nowhere HTTP/1.1\r\n\r\n", 404),
        ("DELETE / HTTP/1.1\r\n\r\n", 405),
        ("GET / HTTP/3\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413),
        ("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (&"x".repeat(8193), 431),
    ] {
        assert_eq!(server.ask(request).status, status, "{request:?}");
    }
    // The length of a body that does not come; then the end.
    let mut client = server.connect();
    client.send("HEAD / HTTP/1.0\r\n\r\n");
    let mut all = String::new();
    client.0.read_to_string(&mut all).expect("an answer");
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.ends_with("\r\n\r\n"), "{all:?}");

    server.terminate();
    assert!(server.line().starts_with("draining: "));
    assert_eq!(server.line(), "done: 14 requests\n");
    assert!(server.child.wait().expect("wait").success());
}

pub(crate) fn replaces_the_killed_and_drains() {
    let mut server = Server::start(&[]);
    let before = server.status();
    assert_eq!(before.len(), 2, "{before:?}");
    // Perhaps the other one has not written its line yet.
    assert!(until(|| server.status().iter().all(|line| line[1] != "0"), TIMEOUT));
    let before = server.status();
    let victim: i32 = before[0][1].parse().expect("a pid");
    kill(Pid::from_raw(victim), Signal::SIGKILL).expect("SIGKILL");
    assert_eq!(
        server.line(),
        format!("worker-1 ({victim}) was ended by SIGKILL, and is replaced\n")
    );
    let is_replaced = || {
        let now = server.status();
        now[0][1] != before[0][1] && now[0].last().is_some_and(|starts| starts == "2")
    };
    assert!(until(is_replaced, TIMEOUT), "{:?}", server.status());
    assert_eq!(server.status()[1][1], before[1][1], "the other one is the same");

    // Half a request is there when the server is told to end.
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\n");
    let reads = || server.status().iter().any(|line| line[2] == "reads");
    assert!(until(reads, TIMEOUT), "{:?}", server.status());
    server.terminate();
    assert!(server.line().starts_with("draining: "));
    client.send("\r\n");
    let reply = client.reply();
    assert!(reply.status == 200 && reply.body.starts_with("hello from worker-"), "{}", reply.body);
    assert_eq!(reply.connection, "close");
    assert!(client.is_over());
    assert!(server.line().starts_with("done: "));
    assert!(server.child.wait().expect("wait").success());
    assert!(TcpStream::connect(&server.address).is_err(), "nobody listens any more");
}

pub(crate) fn has_no_patience_with_slow_clients() {
    let mut server = Server::start(&["--patience-ms", "20"]);
    // More of them than workers, so that each worker meets one, and lives on.
    let mut clients = [(); 3].map(|()| server.connect());
    clients
        .iter_mut()
        .for_each(|client| client.send("POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nslow"));
    for mut client in clients {
        let reply = client.reply();
        assert_eq!((reply.status, reply.connection.as_str()), (408, "close"));
        assert!(client.is_over());
    }
    server.terminate();
    assert!(server.line().starts_with("draining: "));
    assert_eq!(server.line(), "done: 3 requests\n");
}
