"""The standard library of Rust does in a guest what it does natively, but for what
needs a network or other processes."""

import subprocess

from support.alike import check_alike, fill
from support.languages import build, need
from support.server import SKERRY

SOURCE = r"""
use std::cell::Cell;
use std::collections::*;
use std::fmt::Write as _;
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, Once, OnceLock, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, panic, process, thread};

macro_rules! say {
    ($to:expr, $($what:tt)*) => { writeln!($to, $($what)*).unwrap() };
}

fn threads(to: &mut String) {
    let handles: Vec<_> = (0..8u64).map(|n| thread::spawn(move || n * n)).collect();
    let squares: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    say!(to, "joined {squares:?}");
    let total = Arc::new(Mutex::new(0));
    let (count, start) = (AtomicU64::new(0), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..10_000 {
                    count.fetch_add(1, Relaxed);
                    *total.lock().unwrap() += 1;
                }
            });
        }
    });
    say!(to, "scoped {} {}", count.load(SeqCst), total.lock().unwrap());
    let named = thread::Builder::new().name("named".into()).stack_size(1 << 18);
    let name = named.spawn(|| thread::current().name().map(String::from)).unwrap();
    say!(to, "named {:?}", name.join().unwrap());
    let parked = thread::spawn(|| thread::park());
    parked.thread().unpark();
    say!(to, "parked {:?}", parked.join());
}

fn channels(to: &mut String) {
    let (send, receive) = mpsc::channel();
    for n in 0..4 {
        let send = send.clone();
        thread::spawn(move || (0..100).for_each(|m| send.send(n * 100 + m).unwrap()));
    }
    drop(send);
    say!(to, "received {}", receive.iter().sum::<i32>());
    let (send, receive) = mpsc::sync_channel(1);
    let sender = thread::spawn(move || (0..50).all(|n| send.send(n).is_ok()));
    say!(to, "bounded {:?}", receive.iter().collect::<VecDeque<_>>().len());
    say!(to, "all sent {:?}", sender.join().unwrap());
    let (_kept, silent) = mpsc::channel::<()>();
    say!(to, "silent {:?}", silent.recv_timeout(Duration::from_millis(3)));
}

fn waiting(to: &mut String) {
    let pair = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                *pair.0.lock().unwrap() += 1;
                pair.1.notify_all();
                thread::yield_now();
            }
        });
        let guard = pair.0.lock().unwrap();
        let seen = *pair.1.wait_while(guard, |n| *n < 5).unwrap();
        say!(to, "waited {seen}");
    });
    let table = RwLock::new(vec![1, 2, 3]);
    thread::scope(|scope| {
        scope.spawn(|| table.write().unwrap().push(4));
        scope.spawn(|| table.read().unwrap().len());
    });
    say!(to, "table {:?}", table.into_inner().unwrap());
    static ONCE: Once = Once::new();
    static CELL: OnceLock<String> = OnceLock::new();
    thread_local!(static OWN: Cell<u32> = const { Cell::new(7) });
    ONCE.call_once(|| drop(CELL.set("once".into())));
    thread::spawn(|| OWN.with(|own| own.set(8))).join().unwrap();
    say!(to, "{:?} {} {}", CELL.get(), ONCE.is_completed(), OWN.with(Cell::get));
}

fn panics(to: &mut String) {
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| -> u32 { panic!("on {}", "purpose") });
    say!(to, "caught {:?}", caught.unwrap_err().downcast_ref::<String>());
    let empty: Vec<u8> = Vec::new();
    let index = empty.len() + 3;
    say!(to, "index {}", panic::catch_unwind(|| empty[index]).is_err());
    let lock = Arc::new(Mutex::new(1));
    let inner = lock.clone();
    let ended = thread::spawn(move || {
        let _held = inner.lock().unwrap();
        panic!("with the lock");
    });
    say!(to, "thread {} poisoned {}", ended.join().is_err(), lock.is_poisoned());
    say!(to, "recovered {}", lock.lock().unwrap_or_else(|e| e.into_inner()));
    let _ = panic::take_hook();
}

fn collections(to: &mut String) {
    let text = "a rose is a rose is a rose";
    let mut counts: HashMap<&str, u32> = HashMap::new();
    text.split(' ').for_each(|word| *counts.entry(word).or_default() += 1);
    let sorted: BTreeMap<_, _> = counts.iter().collect();
    say!(to, "{sorted:?} {}", counts.values().sum::<u32>());
    let large: HashMap<u64, String> = (0..20_000).map(|n| (n, n.to_string())).collect();
    say!(to, "large {}", large.values().map(String::len).sum::<usize>());
    let mut heap: BinaryHeap<_> = [3, 1, 4, 1, 5].into();
    say!(to, "heap {:?} {:?}", heap.pop(), heap.into_sorted_vec());
    let set: HashSet<_> = (0..9).collect();
    let other: HashSet<_> = (5..20).collect();
    say!(to, "set {:?}", set.intersection(&other).collect::<BTreeSet<_>>());
    let mut values: Vec<i32> = (0..50).map(|n| n * 7919 % 101 - 50).collect();
    values.sort_by_key(|n| n.abs());
    values.dedup_by_key(|n| n.abs());
    say!(to, "{:?} {:?}", &values[..6], values.binary_search_by_key(&9, |n| n.abs()));
    let blocks: Vec<Vec<u8>> = (1..200).map(|n| vec![n as u8; n * 900]).collect();
    say!(to, "blocks {}", blocks.iter().map(|b| b[b.len() - 1] as u32).sum::<u32>());
}

fn numbers(to: &mut String) {
    say!(to, "{:.3} {:e} {:>9.2} {:?}", 1.0 / 3.0, 1234.5, -2.718281828, 0.1 + 0.2);
    say!(to, "{:?} {} {:?}", f64::MAX, f64::MIN_POSITIVE, [f64::NAN, -0.0, 1e21]);
    say!(to, "{:#x} {:08b} {:+} {:#?}", 255, 5, 7, (1, "two"));
    say!(to, "{:.12} {:.12} {:.12}", 2f64.sqrt(), 1f64.sin(), 0.7f64.powf(1.9));
    say!(to, "{:?} {:?}", "3.25e2".parse::<f64>(), "x".parse::<i32>());
    say!(to, "{:?} {:?}", 200u8.checked_add(100), i128::MAX.wrapping_add(1));
    say!(to, "{:?}", "Grüße, 世界".chars().rev().collect::<String>().to_uppercase());
    say!(to, "{:?}", String::from_utf8(vec![0xff]).is_err());
}

fn times(to: &mut String) {
    let begin = Instant::now();
    thread::sleep(Duration::from_millis(5));
    say!(to, "slept {}", begin.elapsed() >= Duration::from_millis(5));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    say!(to, "now {} {:?}", now.as_secs() > 1_700_000_000, Duration::from_micros(1500));
}

fn files(to: &mut String, data: &str) {
    let mut names: Vec<_> =
        fs::read_dir(data).unwrap().map(|each| each.unwrap().file_name()).collect();
    names.sort();
    say!(to, "{names:?}");
    let one = fs::File::open(format!("{data}/one")).unwrap();
    let lines: Result<Vec<_>, _> = std::io::BufReader::new(&one).lines().collect();
    say!(to, "{lines:?} {}", one.metadata().unwrap().len());
    let (mut two, mut part) = (fs::File::open(format!("{data}/two")).unwrap(), [0; 4]);
    two.seek(SeekFrom::End(-4)).unwrap();
    two.read_exact(&mut part).unwrap();
    say!(to, "{part:?} {:?}", two.read(&mut part));
    say!(to, "{:?}", fs::read_to_string(format!("{data}/missing")).unwrap_err().kind());
    say!(to, "{:?}", fs::read_dir(format!("{data}/one")).unwrap_err().kind());
    say!(to, "{:?}", fs::read(format!("{data}/empty")).unwrap());
    let mut input = String::new();
    say!(to, "input {:?}", std::io::stdin().read_line(&mut input).unwrap());
}

fn surroundings(to: &mut String) {
    env::set_var("OWN", "set here");
    say!(to, "{:?} {:?}", env::var("OWN"), env::var("NOT_SET"));
    env::remove_var("OWN");
    say!(to, "{} {}", env::var_os("OWN").is_none(), process::id() > 0);
    say!(to, "{:?}", thread::available_parallelism().is_ok());
}

fn report(data: &str) -> String {
    let mut text = String::new();
    threads(&mut text);
    channels(&mut text);
    waiting(&mut text);
    panics(&mut text);
    collections(&mut text);
    numbers(&mut text);
    times(&mut text);
    files(&mut text, data);
    surroundings(&mut text);
    text
}

fn main() {
    if let Some(data) = env::args().nth(1) {
        print!("{}", report(&data));
        process::exit(0);
    }
    let data = env::var("DATA").unwrap();
    skerry::on_get(move |_: &skerry::Request| report(&data));
    skerry::wait()
}
"""


def test_the_standard_library_of_rust_does_what_it_does_natively(tmp_path):
    need("rust")
    subprocess.run([SKERRY, "new", "rust", "std"], cwd=tmp_path, check=True)
    project = tmp_path / "std"
    (project / "src" / "main.rs").write_text(SOURCE)
    manifest = (project / "Cargo.toml").read_text()
    assert 'panic = "abort"' in manifest  # what it catches has to unwind
    unwinding = manifest.replace('panic = "abort"', 'panic = "unwind"')
    (project / "Cargo.toml").write_text(unwinding)
    build("cargo build -q --release", project, tmp_path)
    program = project / "target/x86_64-unknown-linux-gnu/release/std"
    check_alike(program, fill(tmp_path / "data"), lines=40)
