//! As much of HTTP/1.1 (RFC 9112) as a small server needs: requests with `Content-Length` bodies, one after the other on a connection.

use offspring::{try_wait_any, wait_any_timeout};
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection may be silent for so long between two requests.
const KEPT_ALIVE: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 8 << 10;
const BODY_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    /// Whether the client wants the connection for more.
    pub(crate) keeps_alive: bool,
}

impl Request {
    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

pub(crate) struct Answer {
    status: u16,
    body: Vec<u8>,
    /// An answer to HEAD has the length of its body, and no body.
    is_bare: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, body: body.into(), is_bare: false }
    }

    pub(crate) fn for_method(self, method: &str) -> Answer {
        Answer { is_bare: method == "HEAD", ..self }
    }

    fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Answer",
        }
    }
}

/// What stands at the head of a request.
struct Head {
    request: Request,
    body_bytes: usize,
}

/// A connection, and what has come through it that has not been used.
pub(crate) struct Visitor<'a> {
    stream: TcpStream,
    stop: &'a PipeReader,
    /// A request must be there so long after its first byte, and an answer be taken so long after it is given.
    patience: Duration,
    buffer: Vec<u8>,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(
        stream: TcpStream,
        stop: &'a PipeReader,
        patience: Duration,
    ) -> io::Result<Visitor<'a>> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Visitor { stream, stop, patience, buffer: Vec::new() })
    }

    /// Whether the server is to end.
    pub(crate) fn must_end(&self) -> bool {
        try_wait_any(&[self.stop]).is_ok_and(|ready| !ready.is_empty())
    }

    /// Waits for the first byte of the next request. False if none comes: the client has left or is silent, or the server is to end.
    pub(crate) fn has_more(&mut self) -> io::Result<bool> {
        if !self.buffer.is_empty() {
            return Ok(true);
        }
        let ready = wait_any_timeout(&[&self.stream, self.stop], KEPT_ALIVE);
        // The client first: what it has sent is answered, although the server is to end.
        match ready.map_err(io::Error::other)?.first() {
            Some(0) => Ok(self.fill(Instant::now() + self.patience)? > 0),
            _ => Ok(false),
        }
    }

    /// The next request, or what is to be said about it before the connection is closed.
    pub(crate) fn read(&mut self) -> io::Result<Result<Request, Answer>> {
        let deadline = Instant::now() + self.patience;
        match self.read_by(deadline) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Err(Answer::new(408, "the request is not there in time\n")))
            }
            other => other,
        }
    }

    fn read_by(&mut self, deadline: Instant) -> io::Result<Result<Request, Answer>> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Ok(Err(Answer::new(431, "the request's head is too long\n")));
            }
            self.must_fill(deadline)?;
        };
        let Head { mut request, body_bytes } = match parse(&self.buffer[..end]) {
            Ok(head) => head,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let whole = end + 4 + body_bytes;
        while self.buffer.len() < whole {
            self.must_fill(deadline)?;
        }
        request.body = self.buffer[end + 4..whole].to_vec();
        // What follows is the next request's.
        self.buffer.drain(..whole);
        Ok(Ok(request))
    }

    /// Reads what is there, or waits for something; 0 at the end of the stream.
    fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 4096];
        let length = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..length]);
        Ok(length)
    }

    /// As `fill`, in the middle of a request, which must not end there.
    fn must_fill(&mut self, deadline: Instant) -> io::Result<()> {
        match self.fill(deadline)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&mut self, answer: &Answer, goes_on: bool) -> io::Result<()> {
        let connection = if goes_on { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            answer.status,
            answer.reason(),
            answer.body.len(),
        )
        .into_bytes();
        if !answer.is_bare {
            bytes.extend_from_slice(&answer.body);
        }
        self.stream.write_all(&bytes)
    }
}

fn parse(head: &[u8]) -> Result<Head, Answer> {
    let bad = |why: &str| Answer::new(400, format!("{why}\n"));
    let head = std::str::from_utf8(head).map_err(|_| bad("the head is not UTF-8"))?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a request begins with `METHOD /target HTTP/1.1`"));
    };
    let mut keeps_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(Answer::new(505, "this server speaks HTTP/1.1\n")),
    };
    let mut length: Option<usize> = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Err(bad("a field has no colon"));
        };
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let number = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse());
                let Some(Ok(number)) = number else {
                    return Err(bad("Content-Length is not a number"));
                };
                // Two that differ are how requests are smuggled past a proxy.
                if length.is_some_and(|other| other != number) {
                    return Err(bad("there are two lengths"));
                }
                length = Some(number);
            }
            "transfer-encoding" => return Err(Answer::new(501, "send a Content-Length\n")),
            "connection" if value.eq_ignore_ascii_case("close") => keeps_alive = false,
            _ => {}
        }
    }
    let body_bytes = length.unwrap_or(0);
    if body_bytes > BODY_BYTES_MAX {
        return Err(Answer::new(413, "the body is too long\n"));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Head { request: Request { method, target, body: Vec::new(), keeps_alive }, body_bytes })
}
