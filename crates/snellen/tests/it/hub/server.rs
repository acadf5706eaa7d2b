//! A web server on this machine that answers what a test wants and notes what it was asked.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lowercase.
    pub headers: Vec<(String, String)>,
    /// How many requests came before.
    pub before: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// First and last byte that were asked for.
    pub fn range(&self) -> Option<(usize, Option<usize>)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().unwrap(), last.parse().ok()))
    }

    pub fn is_get_of(&self, end: &str) -> bool {
        self.method == "GET" && self.path.ends_with(end)
    }
}

/// What is answered; the connection is closed behind it.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: bool,
    cut: Option<usize>,
    drip: Option<(usize, Duration)>,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: true, cut: None, drip: None }
    }

    pub fn ok(body: Vec<u8>) -> Self {
        Self { body, ..Self::status(200) }
    }

    pub fn redirect(location: &str) -> Self {
        Self::status(307).header("Location", location)
    }

    /// The part that was asked for, or all.
    pub fn ranged(bytes: &[u8], request: &Request) -> Self {
        let Some((start, last)) = request.range() else { return Self::ok(bytes.to_vec()) };
        let (last, total) = (last.map_or(bytes.len() - 1, |last| last.min(bytes.len() - 1)), bytes.len());
        Self::part(bytes[start..=last].to_vec(), &format!("bytes {start}-{last}/{total}"))
    }

    /// A part, which it says is this.
    pub fn part(body: Vec<u8>, range: &str) -> Self {
        Self { body, ..Self::status(206) }.header("Content-Range", range)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a length: the body ends where the connection does.
    pub fn endless(mut self) -> Self {
        self.length = false;
        self
    }

    /// Sends so many bytes of the body and no more.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Sends the body in pieces of so many bytes with pauses between them.
    pub fn drip(mut self, bytes: usize, pause: Duration) -> Self {
        self.drip = Some((bytes, pause));
        self
    }

    fn send(&self, stream: &mut TcpStream, head_only: bool) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", self.status);
        if self.length {
            write!(head, "Content-Length: {}\r\n", self.body.len()).unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        stream.write_all((head + "\r\n").as_bytes())?;
        if head_only {
            return Ok(());
        }
        let body = &self.body[..self.cut.map_or(self.body.len(), |cut| cut.min(self.body.len()))];
        let (piece, pause) = self.drip.unwrap_or((body.len().max(1), Duration::ZERO));
        for (k, bytes) in body.chunks(piece).enumerate() {
            if k > 0 {
                std::thread::sleep(pause);
            }
            stream.write_all(bytes)?;
        }
        Ok(())
    }
}

/// Listens until the tests end.
pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (notes, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (notes, answer) = (notes.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(mut request) = read(&stream) else { return };
                    {
                        let mut notes = notes.lock().unwrap();
                        request.before = notes.len();
                        notes.push(request.clone());
                    }
                    // Clients may leave before they heard all.
                    let _ = answer(&request).send(&mut stream, request.method == "HEAD");
                });
            }
        });
        Self { port, asked }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests for the bytes of what ends so.
    pub fn fetched(&self, end: &str) -> Vec<Request> {
        self.asked().into_iter().filter(|request| request.is_get_of(end)).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    Some(Request { method, path, headers: headers.collect(), before: 0 })
}
