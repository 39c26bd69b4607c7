//! JSON in, JSON out: {"a": {"b": [1, 2]}} becomes {"a.b.0": 1, "a.b.1": 2}.
//!
//!     curl -d '{"a": {"b": [1, 2]}}' .../flatten
//!
//! It reads the text once (RFC 8259) and writes while it reads. What stands in strings
//! and numbers stays as it is written; an empty object or array stays one. The same
//! program is there in C, Zig and Go.

use skerry::{Request, Response};

/// Objects and arrays around a value.
const DEPTH_MAX: usize = 100;
/// Bytes: long names, once for each value, are long.
const RESULT_MAX: usize = 4 << 20;

/// What is answered instead of a result.
type Refusal = (u16, &'static str);
const MALFORMED: Refusal = (400, "expected JSON\n");
const TOO_LARGE: Refusal = (413, "the result is too large\n");

/// A text that is being read, the path of names to where it is read, and the result.
struct Flattening<'a> {
    text: &'a [u8],
    at: usize,
    path: Vec<u8>,
    out: Vec<u8>,
}

/// Adds `data` to a buffer that may not grow without end.
fn add(to: &mut Vec<u8>, data: &[u8]) -> Result<(), Refusal> {
    if data.len() > RESULT_MAX - to.len() {
        return Err(TOO_LARGE);
    }
    to.extend_from_slice(data);
    Ok(())
}

/// The text.
impl<'a> Flattening<'a> {
    /// The byte that comes next; 0, which is no part of JSON, at the end.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        self.take(byte).then_some(()).ok_or(MALFORMED)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        let begin = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > begin).then_some(()).ok_or(MALFORMED)
    }

    fn number(&mut self) -> Result<(), Refusal> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        let kind = self.peek();
        if !b"\"\\/bfnrtu".contains(&kind) {
            return Err(MALFORMED);
        }
        self.at += 1;
        for _ in 0..if kind == b'u' { 4 } else { 0 } {
            if !self.peek().is_ascii_hexdigit() {
                return Err(MALFORMED);
            }
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<&'a [u8], Refusal> {
        self.expect(b'"')?;
        let begin = self.at;
        while !self.take(b'"') {
            if self.peek() < b' ' {
                return Err(MALFORMED);
            } else if self.take(b'\\') {
                self.escape()?;
            } else {
                self.at += 1;
            }
        }
        Ok(&self.text[begin..self.at - 1])
    }

    fn word(&mut self, expected: &[u8]) -> Result<(), Refusal> {
        expected.iter().try_for_each(|&byte| self.expect(byte))
    }
}

/// The values.
impl Flattening<'_> {
    fn scalar(&mut self) -> Result<(), Refusal> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Writes the member `value`, whose name is the path.
    fn emit(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let first = self.out.is_empty();
        add(&mut self.out, if first { b"{\n  \"" } else { b",\n  \"" })?;
        add(&mut self.out, &self.path)?;
        add(&mut self.out, b"\": ")?;
        add(&mut self.out, value)
    }

    /// A value inside of another, where its name is `name`.
    fn child(&mut self, name: &[u8], depth: usize) -> Result<(), Refusal> {
        let before = self.path.len();
        if before > 0 {
            add(&mut self.path, b".")?;
        }
        add(&mut self.path, name)?;
        self.value(depth + 1)?;
        self.path.truncate(before);
        self.skip_space();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Refusal> {
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            self.child(name, depth)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Refusal> {
        for index in 0.. {
            self.child(format!("{index}").as_bytes(), depth)?;
            if !self.take(b',') {
                break;
            }
        }
        self.expect(b']')
    }

    /// The value that begins here or behind spaces, in so many others.
    fn value(&mut self, depth: usize) -> Result<(), Refusal> {
        self.skip_space();
        let (text, begin) = (self.text, self.at);
        if depth > DEPTH_MAX {
            return Err(MALFORMED);
        }
        if self.take(b'{') {
            self.skip_space();
            if self.take(b'}') {
                return self.emit(b"{}");
            }
            self.object(depth)
        } else if self.take(b'[') {
            self.skip_space();
            if self.take(b']') {
                return self.emit(b"[]");
            }
            self.array(depth)
        } else {
            self.scalar()?;
            self.emit(&text[begin..self.at])
        }
    }
}

fn flatten(text: &str) -> Result<Vec<u8>, Refusal> {
    let mut flattening = Flattening {
        text: text.as_bytes(),
        at: 0,
        path: Vec::new(),
        out: Vec::new(),
    };
    flattening.value(0)?;
    flattening.skip_space();
    if flattening.at != text.len() {
        return Err(MALFORMED);
    }
    add(&mut flattening.out, b"\n}\n")?;
    Ok(flattening.out)
}

fn on_post(request: &Request) -> Result<Response, Refusal> {
    let flat = flatten(request.text().ok_or(MALFORMED)?)?;
    Ok(Response::new(200).body("application/json", flat))
}

fn main() {
    skerry::on_get(|_| (405, "POST some JSON\n"));
    skerry::on_post(on_post);
    skerry::wait()
}
