//! A small HTTP/1.1 client over any stream, because tests must be able to send what no library would.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::read_some;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, chunks put together.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

/// The bytes of a request that ends its connection.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    if headers.iter().all(|(name, _)| *name != "host") {
        bytes.extend_from_slice(b"host: localhost\r\n");
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(
        format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(),
    );
    bytes.extend_from_slice(body);
    bytes
}

/// Sends bytes and reads the answer.
///
/// # Errors
/// When the stream fails or what comes is no HTTP answer.
pub fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<Response> {
    // A server that refuses early closes while we still send; its answer is what counts.
    let sent = stream.write_all(bytes).and_then(|()| stream.flush());
    match read_response(stream) {
        Ok(response) => Ok(response),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads one answer.
///
/// # Errors
/// When the stream fails or what comes is no HTTP answer.
pub fn read_response(stream: &mut impl Read) -> io::Result<Response> {
    let (head, rest) = read_head(stream)?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| wrong("no status line"))?;
    let headers = parse_headers(lines);
    let mut reader = rest.as_slice().chain(stream);
    let body = if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        read_chunks(&mut reader)?
    } else {
        read_sized(&mut reader, &headers)?
    };
    Ok(Response { status, headers, body })
}

/// Reads up to the empty line: the head, and what came after it already.
///
/// # Errors
/// When the stream fails or ends before.
pub fn read_head(stream: &mut impl Read) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        match read_some(stream, &mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&block[..count]),
        }
    }
}

pub(crate) fn parse_headers<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

pub(crate) fn read_sized(
    reader: &mut impl Read,
    headers: &BTreeMap<String, String>,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match headers.get("content-length").and_then(|value| value.parse::<u64>().ok()) {
        Some(length) => reader.take(length).read_to_end(&mut body)?,
        None => reader.read_to_end(&mut body)?,
    };
    Ok(body)
}

fn read_chunks(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(|_| wrong("no chunk size"))?;
        if size == 0 {
            return Ok(body);
        }
        reader.take(size).read_to_end(&mut body)?;
        read_line(reader)?;
    }
}

/// One line, without its end.
///
/// # Errors
/// When the stream ends or fails.
pub fn read_line(reader: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        reader.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            other => line.push(other),
        }
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, and is interrupted before each.
    struct Interrupted<'a>(&'a [u8], bool);

    impl Read for Interrupted<'_> {
        fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let end = block.len().min(1);
            self.0.read(&mut block[..end])
        }
    }

    #[test]
    fn an_answer_is_read_whole_however_often_a_signal_interrupts() {
        for (headers, body) in [
            ("content-length: 2", "ok"),
            ("transfer-encoding: chunked", "1\r\no\r\n1\r\nk\r\n0\r\n\r\n"),
            ("connection: close", "ok"),
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}");
            let response = read_response(&mut Interrupted(answer.as_bytes(), false)).unwrap();
            assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{headers}");
        }
    }
}
