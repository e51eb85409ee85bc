//! Against a server on this machine that behaves as badly as it is told to.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use tempfile::TempDir;

use super::*;

const SIZE: usize = 300_000;

/// Short enough for tests, and longer than a busy machine takes to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a server answers one request for the bytes from `start` on.
type Answer = fn(&mut TcpStream, content: &[u8], start: Option<usize>);

fn head(stream: &mut TcpStream, status: &str, headers: &str) {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n").unwrap();
}

/// As a server should.
fn good(stream: &mut TcpStream, content: &[u8], start: Option<usize>) {
    let total = content.len();
    match start {
        None => head(stream, "200 OK", &format!("Content-Length: {total}\r\n")),
        Some(start) if start >= total => return head(stream, "416 Range Not Satisfiable", "Content-Length: 0\r\n"),
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
            head(stream, "206 Partial Content", &format!("{range}Content-Length: {}\r\n", total - start));
        }
    }
    stream.write_all(&content[start.unwrap_or(0)..]).ok();
}

/// Promises everything and sends a third.
fn third(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    head(stream, "200 OK", &format!("Content-Length: {}\r\n", content.len()));
    stream.write_all(&content[..SIZE / 3]).unwrap();
}

fn cut(stream: &mut TcpStream, content: &[u8], start: Option<usize>) {
    third(stream, content, start);
    stream.shutdown(Shutdown::Both).unwrap();
}

fn silent(stream: &mut TcpStream, content: &[u8], start: Option<usize>) {
    third(stream, content, start);
    thread::sleep(Duration::from_secs(20));
}

fn mute(_: &mut TcpStream, _: &[u8], _: Option<usize>) {
    thread::sleep(Duration::from_secs(20));
}

/// Never silent for long, but longer in all than a client waits for one word.
fn slow(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    head(stream, "200 OK", &format!("Content-Length: {}\r\n", content.len()));
    for piece in content.chunks(SIZE / 10) {
        thread::sleep(PATIENCE / 8);
        stream.write_all(piece).unwrap();
    }
}

fn without_ranges(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    good(stream, content, None);
}

fn without_length(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    head(stream, "200 OK", "");
    stream.write_all(content).unwrap();
}

fn endless(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    head(stream, "200 OK", "");
    while stream.write_all(content).is_ok() {}
}

fn wrong(stream: &mut TcpStream, content: &[u8], _: Option<usize>) {
    let mut content = content.to_vec();
    content[SIZE / 2] ^= 1;
    good(stream, &content, None);
}

fn missing(stream: &mut TcpStream, _: &[u8], _: Option<usize>) {
    head(stream, "404 Not Found", "Content-Length: 9\r\n");
    stream.write_all(b"not found").unwrap();
}

/// A page instead of the file, as networks with a login send.
fn page(stream: &mut TcpStream, _: &[u8], _: Option<usize>) {
    head(stream, "200 OK", "Content-Type: text/html\r\nContent-Length: 15\r\n");
    stream.write_all(b"<html>log in").unwrap();
}

/// Sends another range than it was asked for.
fn other_range(stream: &mut TcpStream, content: &[u8], start: Option<usize>) {
    good(stream, content, start.map(|start| start - 1));
}

fn elsewhere(stream: &mut TcpStream, content: &[u8], start: Option<usize>) {
    let there = serve(content.to_vec(), good);
    head(stream, "302 Found", &format!("Location: {}\r\nContent-Length: 0\r\n", there.url));
    assert!(start.is_none());
}

struct Server {
    url: String,
    /// The first byte that each request asked for.
    requests: Arc<Mutex<Vec<Option<usize>>>>,
}

/// Serves one connection after the other until the tests end.
fn serve(content: Vec<u8>, answer: Answer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file.pth", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let start = lines
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            seen.lock().unwrap().push(start);
            answer(&mut stream, &content, start);
        }
    });
    Server { url, requests }
}

fn content() -> Vec<u8> {
    (0..SIZE as u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes().into_iter().take(1)).collect()
}

/// A folder in which a file is wanted.
struct Wanted {
    folder: TempDir,
    sum: String,
}

impl Wanted {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), sum: sum::sha256(&content()[..]).unwrap() }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("cache/file{ending}"))
    }

    /// An earlier call got as far as this.
    fn interrupted(bytes: &[u8]) -> Self {
        let wanted = Self::new();
        fs::create_dir(wanted.folder.path().join("cache")).unwrap();
        fs::write(wanted.path(".pth.part"), bytes).unwrap();
        wanted
    }

    fn fetch(&self, url: &str) -> Outcome<Vec<(u64, u64)>> {
        let target = self.path(".pth");
        let download =
            Download { name: "file", url, target: &target, sha256: &self.sum[..8], bytes: SIZE as u64 + 100 };
        let mut steps = Vec::new();
        let agent = client(PATIENCE).proxy(None).build().new_agent();
        download.run(&agent, &mut |done, total| steps.push((done, total)))?;
        Ok(steps)
    }

    fn assert_there(&self) {
        assert_eq!(fs::read(self.path(".pth")).unwrap(), content());
        assert!(!self.path(".pth.part").exists());
        let card = Card::beside(&self.path(".pth")).unwrap().unwrap();
        assert_eq!(card.sha256.as_ref(), Some(&self.sum));
    }

    /// Neither the file nor its card; returns how much is kept for the next time.
    fn assert_not_there(&self) -> usize {
        assert!(!self.path(".pth").exists() && !self.path(".json").exists());
        fs::read(self.path(".pth.part")).map_or(0, |bytes| bytes.len())
    }
}

#[test]
fn whole_slow_redirected_or_of_unknown_length() {
    for answer in [good as Answer, slow, elsewhere, without_length] {
        let (wanted, server) = (Wanted::new(), serve(content(), answer));
        let steps = wanted.fetch(&server.url).unwrap();
        wanted.assert_there();
        assert_eq!(steps[0].0, 0);
        assert_eq!(steps.last().unwrap().0, SIZE as u64);
        assert!(steps.is_sorted());
    }
}

#[test]
fn interrupted_downloads_go_on() {
    for answer in [cut as Answer, silent] {
        let wanted = Wanted::new();
        let started = Instant::now();
        let error = wanted.fetch(&serve(content(), answer).url).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10), "waited too long");
        assert!(error.contains("100000 of 300000") && error.contains("goes on there"), "{error}");
        assert_eq!(wanted.assert_not_there(), SIZE / 3);

        let server = serve(content(), good);
        let steps = wanted.fetch(&server.url).unwrap();
        wanted.assert_there();
        assert_eq!(steps[0], (SIZE as u64 / 3, SIZE as u64));
        assert_eq!(*server.requests.lock().unwrap(), [Some(SIZE / 3)]);
    }
}

#[test]
fn a_server_without_ranges_or_with_another_file_starts_again() {
    for (answer, requests) in [(without_ranges as Answer, &[Some(1000)][..]), (other_range, &[Some(1000), None])] {
        let wanted = Wanted::interrupted(&content()[..1000]);
        let server = serve(content(), answer);
        wanted.fetch(&server.url).unwrap();
        wanted.assert_there();
        assert_eq!(*server.requests.lock().unwrap(), requests);
    }
}

#[test]
fn a_server_that_is_out_of_order_costs_nothing() {
    for (answer, expected) in [(missing as Answer, "404"), (page, "offers 15 bytes"), (mute, "timeout")] {
        let wanted = Wanted::interrupted(&content()[..1000]);
        let error = wanted.fetch(&serve(content(), answer).url).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert_eq!(wanted.assert_not_there(), 1000);
    }
}

#[test]
fn more_than_there_is_starts_again() {
    // The server says 416: there is nothing behind the end.
    for kept in [vec![0; SIZE], vec![0; 2 * SIZE]] {
        let wanted = Wanted::interrupted(&kept);
        let server = serve(content(), good);
        wanted.fetch(&server.url).unwrap();
        wanted.assert_there();
        assert_eq!(*server.requests.lock().unwrap(), [Some(kept.len()), None]);
    }
}

#[test]
fn what_has_arrived_is_not_fetched_twice() {
    let wanted = Wanted::interrupted(&content());
    wanted.fetch("http://127.0.0.1:1/no-server").unwrap();
    wanted.assert_there();
}

#[test]
fn wrong_bytes_are_deleted() {
    let wanted = Wanted::new();
    let error = wanted.fetch(&serve(content(), wrong).url).unwrap_err();
    assert!(error.contains("SHA-256") && error.contains("deleted") && error.contains(&wanted.sum[..8]), "{error}");
    assert_eq!(wanted.assert_not_there(), 0);
    // What was kept of another file is found out in the end.
    let wanted = Wanted::interrupted(&[7; 1000]);
    let server = serve(content(), good);
    assert!(wanted.fetch(&server.url).unwrap_err().contains("SHA-256"));
    assert_eq!(wanted.assert_not_there(), 0);
    wanted.fetch(&server.url).unwrap();
    wanted.assert_there();
}

#[test]
fn answers_that_are_no_file() {
    for (answer, expected) in
        [(missing as Answer, "404"), (page, "offers 15 bytes"), (mute, "timeout"), (endless, "more than")]
    {
        let wanted = Wanted::new();
        let started = Instant::now();
        let server = serve(content(), answer);
        let error = wanted.fetch(&server.url).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10), "waited too long");
        assert!(error.contains(expected) && error.contains(&server.url), "{error}");
        assert_eq!(wanted.assert_not_there(), 0);
    }
    for url in ["http://127.0.0.1:1/", "no address", "file:///etc/hosts"] {
        let error = Wanted::new().fetch(url).unwrap_err();
        assert!(error.contains(url), "{error}");
    }
}

#[test]
fn two_processes_do_not_write_one_file() {
    let wanted = Wanted::interrupted(b"");
    let other = File::options().write(true).open(wanted.path(".pth.part")).unwrap();
    other.lock().unwrap();
    let error = wanted.fetch(&serve(content(), good).url).unwrap_err();
    assert!(error.contains("another process"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_names_the_variable() {
    let wanted = Wanted::new();
    fs::write(wanted.folder.path().join("cache"), "a file").unwrap();
    let error = wanted.fetch("http://127.0.0.1:1/").unwrap_err();
    assert!(error.contains(Cache::VARIABLE), "{error}");
}
