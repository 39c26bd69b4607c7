//! A request, as the client sent it.

use crate::{sys, text};
use alloc::string::String;
use core::slice;

/// A request. It lives in memory of the machine, and is gone after the response.
#[repr(transparent)]
pub struct Request(pub(crate) sys::Request);

/// Bytes as text; "" if they are not UTF-8.
fn utf8(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("")
}

impl Request {
    /// `len` bytes at `pointer`, which the host says are there.
    fn bytes(&self, pointer: *const u8, len: usize) -> &[u8] {
        if pointer.is_null() {
            return &[];
        }
        // SAFETY: the host puts these bytes there before the handler runs.
        unsafe { slice::from_raw_parts(pointer, len) }
    }

    /// The method, such as "GET".
    pub fn method(&self) -> &str {
        utf8(self.bytes(self.0.method, self.0.method_len.into()))
    }

    /// Path and query as the client sent them, with the program's name in it; "" if
    /// they are not UTF-8, which [`Request::url_bytes`] shows.
    pub fn url(&self) -> &str {
        utf8(self.url_bytes())
    }

    /// Path and query as bytes.
    pub fn url_bytes(&self) -> &[u8] {
        self.bytes(self.0.url, self.0.url_len.into())
    }

    /// What is before the question mark, as the client sent it.
    pub fn path(&self) -> &str {
        self.url().split('?').next().unwrap_or("")
    }

    /// What is behind the question mark, as the client sent it; "" without one.
    pub fn query(&self) -> &str {
        self.url().split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of `name` in the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        text::find(self.query(), name)
    }

    /// What the configuration says for "arg": a text, or a header of the request.
    pub fn arg(&self) -> &str {
        utf8(self.bytes(self.0.arg, self.0.arg_len.into()))
    }

    /// The body; empty without one.
    pub fn body(&self) -> &[u8] {
        self.bytes(self.0.content, self.0.content_len)
    }

    /// The body as text; None if it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        core::str::from_utf8(self.body()).ok()
    }

    /// The type of the body; "" without one.
    pub fn content_type(&self) -> &str {
        utf8(self.bytes(self.0.content_type, self.0.content_type_len.into()))
    }

    /// The value of the first header `name`, in any case. None if there is none, or it
    /// is not UTF-8, which [`Request::headers`] shows.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers()
            .find(|(each, _)| each.eq_ignore_ascii_case(name))?;
        core::str::from_utf8(value).ok()
    }

    /// All headers as they came: names and values.
    pub fn headers(&self) -> Headers<'_> {
        let count = usize::from(self.0.num_headers);
        let lines = if self.0.headers.is_null() {
            &[]
        } else {
            // SAFETY: the host puts the array there before the handler runs.
            unsafe { slice::from_raw_parts(self.0.headers, count) }
        };
        Headers {
            request: self,
            lines: lines.iter(),
        }
    }

    /// 128 random bits, fresh in every request. What a program has seeded in `main` is
    /// the same in all of them.
    pub fn random(&self) -> [u64; 2] {
        self.0.prng
    }

    /// Whether the host makes this request itself, before the machine is frozen
    /// ("warmup" in the configuration).
    pub fn is_warmup(&self) -> bool {
        self.0.info_flags & 1 != 0
    }
}

/// The headers of a request. See [`Request::headers`].
pub struct Headers<'a> {
    request: &'a Request,
    lines: slice::Iter<'a, sys::Header>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let bytes = self.request.bytes(line.field, line.len as usize);
        let (name, rest) = bytes.split_at_checked(line.colon as usize)?;
        let value = rest.get(1..).unwrap_or(&[]);
        Some((utf8(name), value.trim_ascii()))
    }
}
