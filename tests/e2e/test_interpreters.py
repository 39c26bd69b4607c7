"""Interpreters and virtual machines of a distribution, dynamically linked and just as
they come, do in a guest what they do natively: with threads, signals and, where they
have one, a compiler of their own."""

import shutil
from pathlib import Path

import pytest
from support.languages import build
from support.packages import need_package
from support.plain import outcome, outcome_in_guest

PERL = r"""
use strict; use warnings;
my %square = map { $_ => $_ ** 2 } 1 .. 9;
print join(",", map { "$_=$square{$_}" } sort keys %square), "\n";
print "again: $1 $+{end}\n" if "abcabcx" =~ /(abc)\1(?<end>x)/;
open(my $file, "<", $ARGV[0]) or die;
my ($lines, $sum) = (0, 0);
while (<$file>) { $lines++; $sum += $_ }
printf "%d %d %.3f %s\n", $lines, $sum, atan2(1, 1) * 4, scalar gmtime(0);
eval { die { code => 7 } };
print "caught $@->{code}\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select(undef, undef, undef, 20) while 1; };
print "ended by $@";
pipe(my $out, my $in); syswrite($in, "through a pipe\n"); print scalar readline($out);
print pack("NnC", 1, 2, 3) eq "\0\0\0\1\0\2\3" ? "packed\n" : "not\n";
print sprintf("%vd", "1.22.333"), " ", ucfirst(lc("WORD")), " ", reverse(1 .. 5), "\n";
open(my $none, "<", "/not/there") or print "no: $!\n";
exit 3;
"""
PYTHON = r"""
import asyncio, bz2, concurrent.futures, csv, dataclasses, datetime, decimal, enum
import fractions, functools, gzip, hashlib, heapq, io, itertools, json, lzma, math, os
import pickle, queue, random, re, selectors, signal, socket, sqlite3, statistics
import struct, sys, textwrap, threading, time, traceback, zlib

print(json.dumps({"a": [1, 2.5, None]}), re.findall(r"(\w)=(\d+)", "a=1 b=22"))
print(hashlib.sha256(b"x" * 9999).hexdigest(), zlib.crc32(b"text"))
print([len(m.decompress(m.compress(b"q" * 9999))) for m in (gzip, bz2, lzma, zlib)])
print(decimal.Decimal(2).sqrt(), fractions.Fraction(3, 9), math.gamma(5.5))
print(datetime.datetime.fromtimestamp(0, datetime.timezone.utc).isoformat())
with sqlite3.connect(":memory:") as db:
    db.execute("CREATE TABLE t(a)")
    db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    print(db.execute("SELECT sum(a), max(a) FROM t").fetchall())
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(lambda n: n * n, range(100))))
waiting, lock, total = queue.Queue(), threading.Condition(), 0
def work():
    global total
    for n in range(100):
        waiting.put(n)
        with lock:
            total += n
            lock.notify()
threads = [threading.Thread(target=work) for _ in range(5)]
[each.start() for each in threads]
with lock:
    print(lock.wait_for(lambda: total == 5 * 4950), waiting.qsize() >= 0)
[each.join() for each in threads]
async def later(n):
    await asyncio.sleep(0.001 * n)
    return n
async def main():
    in_thread = asyncio.to_thread(os.path.getsize, sys.argv[1])
    return await asyncio.gather(*map(later, range(5)), in_thread)
print(asyncio.run(main()))
random.seed(4)
print(random.random(), statistics.stdev([1, 2, 4]))
try:
    {}["missing"]
except KeyError:
    print(traceback.format_exc().splitlines()[-1])
@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: str = "z"
print(sorted(pickle.loads(pickle.dumps([Point(3), Point(1)]))))
rung = []
signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(rung) < 3:
    signal.pause()
signal.setitimer(signal.ITIMER_REAL, 0)
print("rung", len(rung) >= 3)
left, right = socket.socketpair()
left.send(b"through a pair")
print(right.recv(99))
def deep(n):
    return deep(n + 1)
try:
    deep(0)
except RecursionError:
    print("too deep")
with open(sys.argv[1]) as file:
    print(sum(map(int, file)), file.tell())
print(sys.stdin.read(), time.time() > 1.7e9, os.getpid() > 0)
sys.exit(3)
"""
NODE = r"""
const {createHash} = require("crypto"), zlib = require("zlib"), fs = require("fs");
const {Worker} = require("worker_threads");
console.log(JSON.stringify({a: [1, 2, {b: 3}]}), /(\d+)-(\d+)/.exec("x 12-34")[2]);
console.log(createHash("sha256").update("x").digest("hex"));
console.log(zlib.gunzipSync(zlib.gzipSync("hello ".repeat(100))).length);
console.log(fs.readFileSync(process.argv[2], "utf8").split("\n").length);
const table = new Map();
for (let i = 0; i < 1e5; i++) table.set("k" + i, i * 2);
console.log([...table.values()].reduce((a, b) => a + b));
let junk = [];
for (let i = 0; i < 3e5; i++) {
    junk.push({i, text: "a" + i});
    if (junk.length > 1e4) junk = [];
}
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
console.log(junk.length, fib(27), new Intl.NumberFormat("de-DE").format(12345.678));
try { null.x } catch (e) { console.log(e.message) }
const deep = () => deep() + 1;
try { deep() } catch (e) { console.log(e.constructor.name) }
const wasm = "AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags=";
const bytes = Uint8Array.from(atob(wasm), c => c.charCodeAt(0));
async function main() {
    const {instance} = await WebAssembly.instantiate(bytes);
    console.log("wasm", instance.exports.add(40, 2));
    console.log((await fs.promises.readFile(process.argv[2])).length);
    await new Promise(done => setTimeout(done, 5));
    const text = "require('worker_threads').parentPort.postMessage(6 * 7)";
    const worker = new Worker(text, {eval: true});
    console.log("worker", await new Promise(done => worker.on("message", done)));
    process.exitCode = 3;
}
main();
"""
JAVA = r"""
import java.nio.file.*;
import java.security.MessageDigest;
import java.time.LocalDate;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Main {
    static int deep(int n) { return deep(n + 1) + 1; }

    static void fails(Callable<Object> what) {
        try {
            what.call();
        } catch (Throwable e) {
            System.out.println(e.getClass().getSimpleName());
        }
    }

    public static void main(String[] args) throws Exception {
        var pool = Executors.newFixedThreadPool(4);
        var squares = new ArrayList<Future<Integer>>();
        for (int i = 0; i < 20; i++) {
            int n = i;
            squares.add(pool.submit(() -> n * n));
        }
        int sum = 0;
        for (var each : squares) sum += each.get();
        pool.shutdown();
        System.out.println("sum " + sum);
        int[] two = new int[2];
        Object none = null;
        int at = sum, zero = sum - 2470;
        fails(() -> none.toString());
        fails(() -> two[at]);
        fails(() -> 1 / zero);
        fails(() -> deep(0));
        fails(() -> new long[Integer.MAX_VALUE]);
        var junk = new ArrayList<byte[]>();
        for (int i = 0; i < 2000; i++) {
            junk.add(new byte[100000]);
            if (junk.size() > 50) junk.clear();
        }
        System.gc();
        System.out.println(junk.size());
        var all = IntStream.range(0, 1000).parallel();
        System.out.println(all.filter(i -> i % 7 == 0).sum());
        var sorted = Stream.of("b", "a").sorted().collect(Collectors.joining("+"));
        System.out.println(sorted + "a1b22".replaceAll("[0-9]+", "#"));
        var digest = MessageDigest.getInstance("SHA-256").digest("x".getBytes());
        System.out.println(Arrays.hashCode(digest));
        System.out.println(Files.readAllLines(Path.of(args[0])).size());
        System.out.println(LocalDate.of(2024, 2, 29).plusYears(1));
        long hash = 0;
        for (int i = 0; i < 10_000_000; i++) hash = hash * 31 + i;
        System.out.println(hash);
        var spins = new Thread(() -> {
            while (!Thread.interrupted()) { }
            System.out.println("interrupted");
        });
        spins.start();
        Thread.sleep(5);
        spins.interrupt();
        spins.join();
        System.exit(3);
    }
}
"""


@pytest.fixture
def numbers(tmp_path):
    """A file with 500 lines."""
    made = tmp_path / "numbers"
    made.write_text("".join(f"{each}\n" for each in range(500)))
    return made


def check(command, paths, *options):
    natively = outcome(*command)
    assert natively[0] == 3  # it has come to its end
    assert outcome_in_guest(*command, paths=paths, options=options) == natively


SCRIPTS = {
    "perl": ("perl", [], PERL),
    "python3": ("/usr/bin/python3", ["-I"], PYTHON),
    "nodejs": ("node", [], NODE),
}


@pytest.mark.parametrize("package", SCRIPTS)
def test_an_interpreter_does_in_a_guest_what_it_does_natively(
    tmp_path, numbers, package
):
    need_package(package)
    name, options, source = SCRIPTS[package]
    (tmp_path / "script").write_text(source)
    command = [shutil.which(name), *options, tmp_path / "script", numbers]
    check(command, [tmp_path])


def test_a_java_vm_does_in_a_guest_what_it_does_natively(tmp_path, numbers):
    """It reserves far more than it uses, and stops its threads by page faults."""
    need_package("default-jdk-headless")
    (tmp_path / "Main.java").write_text(JAVA)
    build("javac Main.java", tmp_path, tmp_path)
    java = Path(shutil.which("java")).resolve()
    home = java.parent.parent
    # Links that lead out of what is allowed lead nowhere: what is behind is named.
    security = home / "conf" / "security" / "java.security"
    command = [java, "-Xmx128m", "-cp", tmp_path, "Main", numbers]
    check(command, [tmp_path, home, security], "--memory", "1024")
