//! Host calls by number, and the layouts that they take: what `kvm_api.h` says, in
//! Rust. The other modules make these safe; what they do not offer can be called here.
#![allow(missing_docs)] // the numbers and fields are those of kvm_api.h

use core::arch::global_asm;
use core::ffi::{c_char, c_void};

pub const REGISTER_FUNC: u64 = 0x10000;
pub const WAIT_FOR_REQUESTS: u64 = 0x10001;
pub const BACKEND_RESPONSE: u64 = 0x10010;
pub const STORAGE_RETURN: u64 = 0x10011;
pub const IS_STORAGE: u64 = 0x10706;
pub const SHARED_MEMORY_AREA: u64 = 0x10700;
pub const STORAGE_ALLOW: u64 = 0x10707;
pub const STORAGE_CALLV: u64 = 0x10708;
pub const STORAGE_TASK: u64 = 0x10709;
pub const STOP_STORAGE_TASK: u64 = 0x1070A;
pub const LOG: u64 = 0x7F000;

pub const ON_REQUEST: u64 = 3;
pub const ON_ERROR: u64 = 5;

/// The most extra headers that a response may have.
pub const MAX_EXTRA_HEADERS: usize = 64;
/// The most buffers that a storage call may have.
pub const MAX_BUFFERS: usize = 64;

// A host call takes its arguments in the registers that a C function gets them in; only
// the number comes on the stack. The compiler cannot look into this function, so it
// does not conclude that a call leaves all statics alone: the host may run callbacks.
global_asm!(
    ".pushsection .text.skerry_call, \"ax\", @progbits",
    ".weak skerry_call",
    ".type skerry_call, @function",
    ".weak skerry_call_pair",
    ".type skerry_call_pair, @function",
    "skerry_call:",
    "skerry_call_pair:",
    "mov eax, [rsp + 8]",
    "out 0, eax",
    "ret",
    ".popsection",
);

extern "C" {
    fn skerry_call(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, nr: u64) -> i64;
    fn skerry_call_pair(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, nr: u64) -> Pair;
}

/// Two words that a call returns, in rax and rdx.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub first: u64,
    pub second: u64,
}

/// Makes host call `nr` with up to six arguments; missing ones are 0. Returns rax:
/// mostly a count, or -errno; -38 (ENOSYS) for a number that the host does not know.
///
/// # Safety
///
/// The arguments are as `kvm_api.h` says for this call: the host writes where they say.
pub unsafe fn call<const N: usize>(nr: u64, arguments: [u64; N]) -> i64 {
    let a = six(arguments);
    skerry_call(a[0], a[1], a[2], a[3], a[4], a[5], nr)
}

/// Makes a host call that returns two words. See [`call`].
///
/// # Safety
///
/// As with [`call`].
pub unsafe fn call_pair(nr: u64) -> Pair {
    skerry_call_pair(0, 0, 0, 0, 0, 0, nr)
}

fn six<const N: usize>(given: [u64; N]) -> [u64; 6] {
    const { assert!(N <= 6, "a host call has at most six arguments") };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&given);
    all
}

/// The address of a value as an argument.
pub fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.cast::<u8>() as u64
}

/// struct kvm_request_header: "Name: value", NUL-terminated.
#[repr(C)]
pub struct Header {
    pub field: *const u8,
    pub colon: u32,
    pub len: u32,
}

/// struct kvm_request.
#[repr(C)]
pub struct Request {
    pub method: *const u8,
    pub url: *const u8,
    pub arg: *const u8,
    pub content_type: *const u8,
    pub method_len: u16,
    pub url_len: u16,
    pub arg_len: u16,
    pub content_type_len: u16,
    pub content: *const u8,
    pub content_len: usize,
    pub headers: *const Header,
    pub num_headers: u16,
    pub info_flags: u16,
    pub reserved: u32,
    pub prng: [u64; 2],
    pub reserved2: [u64; 5],
}

/// struct ResponseHeader: "Name: value".
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ResponseHeader {
    pub field: *const u8,
    pub len: usize,
}

/// struct BackendResponseExtra.
#[repr(C)]
pub struct ResponseExtra {
    pub headers: *const ResponseHeader,
    pub num_headers: u16,
    pub cached: bool,
    pub ttl: f32,
    pub grace: f32,
    pub keep: f32,
    pub reserved: [u64; 4],
}

/// struct kvm_api_exchange: one page, which the program shares with the host.
#[repr(C)]
pub struct Exchange {
    pub magic: u32,
    pub is_storage: u32,
    pub shm_begin: u64,
    pub shm_end: u64,
    pub method: *const u8,
    pub method_len: u64,
    pub headers: *const Header,
    pub num_headers: u64,
    pub request_changed: u32,
    pub result_ready: u32,
    pub data_len: u32,
    pub reserved: [u32; 15],
    pub data: [u8; 3968],
}

const _: () = assert!(core::mem::size_of::<Exchange>() == 4096);
const _: () = assert!(core::mem::offset_of!(Exchange, data) == 128);
const _: () = assert!(core::mem::size_of::<Request>() == 128);

const EXCHANGE: *mut Exchange = 0x100000 as *mut Exchange;
const EXCHANGE_MAGIC: u32 = 0x7972_6b73; // "skry"

/// The exchange page, or None where the host did not set one up.
pub fn exchange() -> Option<*mut Exchange> {
    // SAFETY: in a guest this page is always mapped.
    let magic = unsafe { (&raw const (*EXCHANGE).magic).read_volatile() };
    (magic == EXCHANGE_MAGIC).then_some(EXCHANGE)
}

/// The callbacks of the host.
pub type OnRequest = extern "C" fn(*const Request);
pub type OnError = extern "C" fn(*const c_char, *const c_char, *const c_char);
pub type InStorage = unsafe extern "C" fn(usize, *const c_void, usize);
