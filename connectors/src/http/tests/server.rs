//! A server that says what a test wants, on plain threads. It ends with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET /x HTTP/1.1`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the server does then.
pub enum Reply {
    Send(Vec<u8>),
    SendAndClose(Vec<u8>),
    Close,
    /// Says nothing more until the test ends.
    Hang,
}

/// An answer with a body.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Reply::Send(bytes)
}

pub fn json(body: &str) -> Reply {
    answer("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

type Handler = dyn Fn(usize, &Asked) -> Reply + Send + Sync;

/// A way to speak over a socket: plain, or with TLS.
pub trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}
type Accept = dyn Fn(TcpStream) -> Option<Box<dyn Channel>> + Send + Sync;

pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// `handler` gets the number of the request, counted from 0, and the request.
    pub fn start(handler: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(handler, |socket| Some(Box::new(socket)))
    }

    pub fn start_with(
        handler: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Channel>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (asked, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (handler, accept): (Arc<Handler>, Arc<Accept>) = (Arc::new(handler), Arc::new(accept));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ended));
        thread::spawn(move || {
            for (connection, socket) in listener.incoming().enumerate() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(socket) = socket else { return };
                let (handler, accept) = (Arc::clone(&handler), Arc::clone(&accept));
                let (log, end) = (Arc::clone(&log), Arc::clone(&end));
                thread::spawn(move || {
                    let _ = socket.set_read_timeout(Some(Duration::from_secs(60)));
                    if let Some(channel) = accept(socket) {
                        serve(channel, connection, &*handler, &log, &end);
                    }
                });
            }
        });
        Self { address, asked, ended }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The first lines of the requests.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    channel: Box<dyn Channel>,
    connection: usize,
    handler: &Handler,
    log: &Mutex<Vec<Asked>>,
    ended: &AtomicBool,
) -> Option<()> {
    let mut reader = BufReader::new(channel);
    loop {
        let asked = Asked { connection, ..request(&mut reader)? };
        let number = {
            let mut log = log.lock().expect("no panic");
            log.push(asked.clone());
            log.len() - 1
        };
        match handler(number, &asked) {
            Reply::Send(bytes) => {
                reader.get_mut().write_all(&bytes).ok()?;
                reader.get_mut().flush().ok()?;
            }
            Reply::SendAndClose(bytes) => {
                let _ = reader.get_mut().write_all(&bytes);
                let _ = reader.get_mut().flush();
                return None;
            }
            Reply::Close => return None,
            Reply::Hang => {
                while !ended.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                return None;
            }
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).ok().filter(|read| *read > 0)?;
    asked.line = asked.line.trim_end().to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = asked.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).expect("text");
    Some(asked)
}
