//! A response, and what can become one.

use crate::slot::Slot;
use crate::sys;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Display;
use core::time::Duration;

/// What a handler answers.
///
/// ```no_run
/// # use skerry::Response;
/// Response::new(404).header("X-Looked-In", "/data").text("not here\n");
/// ```
#[must_use]
pub struct Response {
    status: u16,
    content_type: Cow<'static, str>,
    body: Cow<'static, [u8]>,
    fields: Vec<String>,
    fresh: Option<[Duration; 3]>,
}

// The response that is on its way. Where the machine is not put back ("ephemeral":
// false) the next one takes its place, so that none is left behind.
static SENT: Slot<Option<Response>> = Slot::new(None);

impl Response {
    /// An empty response with `status`, 200 to 599; another one fails the request.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            content_type: Cow::Borrowed(""),
            body: Cow::Borrowed(&[]),
            fields: Vec::new(),
            fresh: None,
        }
    }

    /// With a body, and its type of at most 4095 bytes.
    pub fn body(
        mut self,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        self.content_type = content_type.into();
        self.body = body.into();
        self
    }

    /// With a body of plain text.
    pub fn text(self, body: impl Into<Cow<'static, str>>) -> Self {
        self.string("text/plain; charset=utf-8", body.into())
    }

    /// With a body of HTML.
    pub fn html(self, body: impl Into<Cow<'static, str>>) -> Self {
        self.string("text/html; charset=utf-8", body.into())
    }

    fn string(self, content_type: &'static str, body: Cow<'static, str>) -> Self {
        let body = match body {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        self.body(content_type, body)
    }

    /// With one more header. Name and value have 3 to 65533 bytes together and no line
    /// end, and a response has at most 64 of them; else the request fails.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.fields.push(format!("{name}: {value}"));
        self
    }

    /// To be cached: fresh for `ttl`, then given for `grace` more while a new one is
    /// fetched, and for `keep` more when fetching one fails.
    pub fn cached(mut self, ttl: Duration, grace: Duration, keep: Duration) -> Self {
        self.fresh = Some([ttl, grace, keep]);
        self
    }

    /// Responds, and ends the request here. A handler may so answer from deep inside;
    /// otherwise it returns its response. Values that are alive are not dropped.
    pub fn send(self) -> ! {
        // SAFETY: the reference is used in this function only.
        let response = unsafe { SENT.get() }.insert(self);
        response.deliver();
        unreachable!("a request goes on behind its response")
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    fn deliver(&self) {
        let nothing = sys::ResponseHeader {
            field: core::ptr::null(),
            len: 0,
        };
        let mut headers = [nothing; sys::MAX_EXTRA_HEADERS];
        for (header, field) in headers.iter_mut().zip(&self.fields) {
            *header = sys::ResponseHeader {
                field: field.as_ptr(),
                len: field.len(),
            };
        }
        let [ttl, grace, keep] = self.fresh.unwrap_or_default().map(|d| d.as_secs_f32());
        let extra = sys::ResponseExtra {
            headers: headers.as_ptr(),
            // With too many of them, the host reads none: it refuses the number.
            num_headers: self.fields.len().min(u16::MAX.into()) as u16,
            cached: self.fresh.is_some(),
            ttl,
            grace,
            keep,
            reserved: [0; 4],
        };
        let arguments = [
            self.status.into(),
            sys::address(self.content_type.as_ptr()),
            self.content_type.len() as u64,
            sys::address(self.body.as_ptr()),
            self.body.len() as u64,
            sys::address(&raw const extra),
        ];
        // SAFETY: all that the arguments point to lives until the host has read it.
        unsafe { sys::call(sys::BACKEND_RESPONSE, arguments) };
    }
}

/// What a handler may return: a [`Response`], a text, a status with a text, or a
/// `Result` of two of these.
pub trait Answer {
    /// The response that it means.
    fn into_response(self) -> Response;
}

impl Answer for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl Answer for &'static str {
    fn into_response(self) -> Response {
        Response::new(200).text(self)
    }
}

impl Answer for String {
    fn into_response(self) -> Response {
        Response::new(200).text(self)
    }
}

impl<T: Into<Cow<'static, str>>> Answer for (u16, T) {
    fn into_response(self) -> Response {
        Response::new(self.0).text(self.1)
    }
}

impl<T: Answer, E: Answer> Answer for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(answer) => answer.into_response(),
            Err(answer) => answer.into_response(),
        }
    }
}
