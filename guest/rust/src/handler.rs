//! Who answers: handlers are registered in `main`, then it waits.

use crate::slot::Slot;
use crate::sys;
use crate::{Answer, Request, Response};
use alloc::boxed::Box;
use core::ffi::{c_char, CStr};

type Handler = &'static dyn Fn(&Request) -> Response;
type ErrorHandler = &'static dyn Fn(&str, &str) -> Response;

/// References that live for ever: a handler that registers another one goes on.
#[derive(Clone, Copy)]
struct Handlers {
    get: Option<Handler>,
    post: Option<Handler>,
    request: Option<Handler>,
    error: Option<ErrorHandler>,
}

impl Handlers {
    const NONE: Self = Self {
        get: None,
        post: None,
        request: None,
        error: None,
    };
}

static HANDLERS: Slot<Handlers> = Slot::new(Handlers::NONE);

fn handlers() -> Handlers {
    // SAFETY: the reference is gone when this returns.
    unsafe { *HANDLERS.get() }
}

fn register(change: impl FnOnce(&mut Handlers)) {
    // SAFETY: change() is one of the assignments below, and looks at nothing else.
    change(unsafe { HANDLERS.get() });
}

fn kept<A: Answer>(handler: impl Fn(&Request) -> A + 'static) -> Option<Handler> {
    Some(Box::leak(Box::new(move |request: &Request| {
        handler(request).into_response()
    })))
}

/// Has `handler` answer requests without a body.
///
/// It is a function or a closure, and what it takes along is frozen with the machine.
pub fn on_get<A: Answer>(handler: impl Fn(&Request) -> A + 'static) {
    let handler = kept(handler);
    register(|all| all.get = handler);
}

/// Has `handler` answer requests that have a body, whatever their method; without a
/// handler for those that have none, all.
pub fn on_post<A: Answer>(handler: impl Fn(&Request) -> A + 'static) {
    let handler = kept(handler);
    register(|all| all.post = handler);
}

/// Has `handler` answer all requests; it wins over [`on_get`] and [`on_post`].
pub fn on_request<A: Answer>(handler: impl Fn(&Request) -> A + 'static) {
    let handler = kept(handler);
    register(|all| all.request = handler);
}

/// Has `handler` answer, within a second, requests that failed: it gets the URL and
/// why, as the log says it.
pub fn on_error<A: Answer>(handler: impl Fn(&str, &str) -> A + 'static) {
    let handler = Box::new(move |url: &str, why: &str| handler(url, why).into_response());
    register(|all| all.error = Some(Box::leak(handler)));
}

/// Ends start-up: the machine is frozen here and answers requests from now on.
///
/// Must come within the boot time (16 s). A program without a handler, and one that
/// waits a second time, does not start.
pub fn wait() -> ! {
    let all = handlers();
    if all.get.is_some() || all.post.is_some() || all.request.is_some() {
        let callback = answer as sys::OnRequest as usize as u64;
        // SAFETY: the callback has the type that the host calls.
        unsafe { sys::call(sys::REGISTER_FUNC, [sys::ON_REQUEST, callback]) };
    }
    if all.error.is_some() {
        let callback = answer_error as sys::OnError as usize as u64;
        // SAFETY: as above.
        unsafe { sys::call(sys::REGISTER_FUNC, [sys::ON_ERROR, callback]) };
    }
    loop {
        // SAFETY: it takes no arguments.
        unsafe { sys::call(sys::WAIT_FOR_REQUESTS, []) };
    }
}

/// The handler for a request: as the host chooses a callback of a program in C.
fn choose(all: Handlers, has_body: bool) -> Option<Handler> {
    let preferred = if has_body { all.post } else { all.get };
    all.request.or(preferred).or(all.get).or(all.post)
}

extern "C" fn answer(request: *const sys::Request) {
    // SAFETY: the host has put the request there, until the response.
    let request = unsafe { &*request.cast::<Request>() };
    if let Some(handler) = choose(handlers(), !request.body().is_empty()) {
        handler(request).send()
    }
}

extern "C" fn answer_error(url: *const c_char, _arg: *const c_char, why: *const c_char) {
    // SAFETY: the host passes strings.
    let text = |at| unsafe { CStr::from_ptr(at) }.to_str().unwrap_or("");
    if let Some(handler) = handlers().error {
        handler(text(url), text(why)).send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(all: Handlers, has_body: bool) -> u16 {
        let nothing: sys::Request = unsafe { core::mem::zeroed() };
        let handler = choose(all, has_body).unwrap();
        handler(unsafe { &*(&raw const nothing).cast::<Request>() }).status()
    }

    #[test]
    fn a_body_decides_who_answers() {
        let mut all = Handlers {
            get: kept(|_| (201, "get")),
            post: kept(|_| (202, "post")),
            ..Handlers::NONE
        };
        assert_eq!((answers(all, false), answers(all, true)), (201, 202));
        all.get = None;
        assert_eq!((answers(all, false), answers(all, true)), (202, 202));
        all.request = kept(|_| (203, "request"));
        assert_eq!((answers(all, false), answers(all, true)), (203, 203));
    }

    #[test]
    fn without_a_handler_for_bodies_get_answers() {
        let mut all = Handlers::NONE;
        assert!(choose(all, true).is_none());
        all.get = kept(|_| (201, "get"));
        assert_eq!(answers(all, true), 201);
    }
}
