"""The standard library of C++, dynamically linked, does in a guest what it does
natively; and so does a C library that is not glibc's."""

import pytest
from support.alike import check_alike, fill
from support.guests import compile_guest
from support.packages import need_package

# The programs say what they do in report(), which puts it into (text).
MAIN = r"""
static void answer(const char *url, const char *arg)
{
    report(getenv("DATA"));
    backend_response(200, "text/plain", 10, said(), strlen(said()));
}
int main(int argc, char **argv)
{
    if (argc > 1) {
        report(argv[1]);
        return fputs(said(), stdout) < 0;
    }
    set_backend_get(answer);
    wait_for_requests();
}
"""
CPP = r"""
#include "kvm_api.h"
#include <algorithm>
#include <any>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <queue>
#include <random>
#include <regex>
#include <set>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <typeinfo>
#include <unordered_map>
#include <variant>
#include <vector>
using namespace std::chrono_literals;
static std::ostringstream out;
static std::string text;
static const char *said() { return text.c_str(); }

struct counted {
    static inline int alive;
    counted() { alive++; }
    counted(const counted &) { alive++; }
    ~counted() { alive--; }
};
struct base {
    virtual ~base() = default;
    virtual const char *name() { return "base"; }
};
struct derived : base { const char *name() override { return "derived"; } };
struct own_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

__attribute__((noinline)) static int deep(int n)
{
    counted each;
    if (n == 0)
        throw own_error("from below");
    return deep(n - 1) + 1;
}

static void exceptions()
{
    try {
        deep(100);
    } catch (const std::exception &e) {
        out << e.what() << " " << counted::alive << " "
            << (dynamic_cast<const own_error *>(&e) != nullptr) << "\n";
    }
    try {
        try {
            std::vector<int>(3).at(7);
        } catch (...) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::exception &e) {
        try {
            std::rethrow_if_nested(e);
        } catch (const std::out_of_range &inner) {
            out << e.what() << " around " << inner.what() << "\n";
        }
    }
    try {
        std::vector<char> huge(1ul << 60);
    } catch (const std::bad_alloc &e) {
        out << e.what() << "\n";
    }
    try {
        std::ifstream missing("/not/there");
        missing.exceptions(std::ios::failbit);
    } catch (const std::ios_base::failure &e) {
        out << "stream " << e.what() << "\n";
    }
    std::unique_ptr<base> one = std::make_unique<derived>(), two(new base);
    out << one->name() << (dynamic_cast<derived *>(two.get()) == nullptr) << " "
        << typeid(*one).name() << "\n";
}

static void threads()
{
    std::vector<std::thread> all;
    std::mutex lock;
    std::shared_mutex shared;
    std::condition_variable_any changed;
    std::atomic<int> count{0};
    int total = 0;
    thread_local int own = 5;
    for (int i = 0; i < 8; i++)
        all.emplace_back([&, i] {
            own += i;
            for (int n = 0; n < 1000; n++) {
                count++;
                std::scoped_lock held(lock);
                total += own - i;
            }
            changed.notify_all();
        });
    {
        std::unique_lock held(lock);
        changed.wait(held, [&] { return total == 40000; });
    }
    for (auto &each : all)
        each.join();
    { std::shared_lock a(shared), b(shared, std::try_to_lock); out << b.owns_lock(); }
    out << " " << count << " " << total << " " << own << "\n";
    auto later = std::async(std::launch::async, [] { return std::string("async"); });
    std::promise<int> promise;
    std::thread broken([&] {
        try {
            throw own_error("in a thread");
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    });
    broken.join();
    out << later.get() << " ";
    try {
        promise.get_future().get();
    } catch (const own_error &e) {
        out << e.what() << "\n";
    }
    std::mutex waits;
    std::unique_lock held(waits);
    std::condition_variable never;
    out << (never.wait_for(held, 2ms) == std::cv_status::timeout) << " ";
    auto begin = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(2ms);
    out << (std::chrono::steady_clock::now() - begin >= 2ms) << "\n";
}

static void texts()
{
    std::string line = "GET /a/b?x=1&y=two HTTP/1.1", word;
    std::regex parts("(\\w+)=(\\w+)", std::regex::icase);
    for (std::sregex_iterator at(line.begin(), line.end(), parts), end; at != end; ++at)
        out << (*at)[1] << "->" << (*at)[2] << ";";
    out << std::regex_replace(line, std::regex("[aeiou]"), "*") << "\n";
    try {
        std::regex("(unbalanced");
    } catch (const std::regex_error &e) {
        out << (e.code() == std::regex_constants::error_paren) << " ";
    }
    out << std::hex << std::showbase << 255 << std::dec << std::setw(9) << std::fixed
        << std::setprecision(3) << 3.14159 << std::scientific << 12345.678
        << std::defaultfloat << std::boolalpha << true << std::quoted("a\"b") << "\n"
        << std::setprecision(6) << std::noboolalpha;
    std::istringstream in("12 3.5 word 0x1f");
    int number; double real; std::string hex;
    in >> number >> real >> word >> hex;
    out << number + real << word << std::stoi(hex, nullptr, 16) << "\n";
    char digits[40];
    auto [end, error] = std::to_chars(digits, digits + 40, 0.1);
    out << std::string(digits, end) << " " << std::locale().name() << "\n";
}

static void containers()
{
    std::map<std::string, std::vector<int>> table;
    std::unordered_map<int, std::string> large;
    for (int i = 0; i < 20000; i++)
        large[i * 7919] = std::to_string(i);
    for (int i = 0; i < 30; i++)
        table[std::string(1, 'a' + i % 3)].push_back(i);
    for (auto &[key, values] : table)
        out << key << std::accumulate(values.begin(), values.end(), 0) << " ";
    out << large.size() << large.at(7919 * 123) << "\n";
    std::priority_queue<int> queue;
    std::mt19937 random(42);
    for (int i = 0; i < 100; i++)
        queue.push(random() % 1000);
    std::variant<int, std::string> either = "text";
    std::optional<int> none;
    std::any any = 2.5;
    out << queue.top() << std::get<std::string>(either) << none.value_or(7)
        << std::any_cast<double>(any) << "\n";
    try {
        std::any_cast<int>(any);
    } catch (const std::bad_any_cast &e) {
        out << e.what() << "\n";
    }
    std::vector<int> values(1000);
    std::iota(values.begin(), values.end(), 0);
    std::shuffle(values.begin(), values.end(), random);
    std::nth_element(values.begin(), values.begin() + 500, values.end());
    std::function<int(int)> twice = [&](int n) { return 2 * values[n]; };
    out << twice(500) << "\n";
}

static void files(const char *data)
{
    namespace fs = std::filesystem;
    std::set<std::string> names;
    for (auto &each : fs::directory_iterator(data))
        names.insert(each.path().filename().string());
    for (auto &each : names)
        out << each << fs::file_size(fs::path(data) / each) << " ";
    std::ifstream file(fs::path(data) / "one");
    std::string line;
    while (std::getline(file, line))
        out << line.size() << line << "|";
    std::error_code error;
    fs::file_size(fs::path(data) / "missing", error);
    out << error.message() << "\n";
    out << std::cin.get() << std::cin.eof() << "\n";
    std::cin.clear();
}

static void report(const char *data)
{
    out.str("");
    exceptions();
    threads();
    texts();
    containers();
    files(data);
    text = out.str();
}
"""
C = r"""
#include "kvm_api.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
static char text[1 << 14];
static size_t used;
static const char *said(void) { return text; }
#define SAY(...) used += sprintf(text + used, __VA_ARGS__)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_key_t key;
static __thread int own = 3;
static int total;
static sigjmp_buf back;

static void *work(void *arg)
{
    own += (long)arg;
    pthread_setspecific(key, arg);
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return (void *)(own + (long)pthread_getspecific(key));
}
static void threads(void)
{
    pthread_t all[8];
    void *result;
    long sum = total = 0;
    pthread_key_create(&key, NULL);
    for (long i = 0; i < 8; i++)
        pthread_create(&all[i], NULL, work, (void *)i);
    pthread_mutex_lock(&lock);
    while (total < 8000)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 8; i++)
        sum += pthread_join(all[i], &result) + (long)result;
    pthread_key_delete(key);
    SAY("%d %ld %d\n", total, sum, own);
}
static void caught(int signal) { siglongjmp(back, signal); }
static int compare(const void *a, const void *b) { return *(int *)a - *(int *)b; }

static void report(const char *data)
{
    int values[100], found;
    char name[4096], line[100];
    regex_t pattern;
    regmatch_t match[2];
    struct tm day = {.tm_year = 124, .tm_mon = 1, .tm_mday = 30};
    used = 0;
    threads();
    signal(SIGUSR1, caught);
    found = sigsetjmp(back, 1);
    if (!found)
        raise(SIGUSR1);
    SAY("signal %d\n", found == SIGUSR1);
    for (int i = 0; i < 100; i++)
        values[i] = i * 37 % 101;
    qsort(values, 100, sizeof *values, compare);
    SAY("%d %d\n", values[0], values[99]);
    regcomp(&pattern, "([a-z]+)[0-9]", REG_EXTENDED);
    SAY("%d %d\n", regexec(&pattern, "12 ab3", 2, match, 0), (int)match[1].rm_so);
    regfree(&pattern);
    timegm(&day);
    strftime(line, sizeof line, "%F %A", &day);
    SAY("%s %.10f %a %g\n", line, tgamma(4.5), 0.1, strtod("1e-310", NULL));
    SAY("%ls %d\n", L"wide", (int)wcslen(L"wide"));
    snprintf(name, sizeof name, "%s/one", data);
    FILE *file = fopen(name, "r");
    while (fgets(line, sizeof line, file))
        SAY("%s", line);
    fclose(file);
    SAY("%s %p\n", strerror(ENOENT), fopen("/not/there", "r"));
    void *blocks[100];
    for (int i = 0; i < 100; i++)
        blocks[i] = memset(malloc(i * 5000 + 1), i, i * 5000 + 1);
    for (int i = 0; i < 100; i++)
        free(blocks[i]);
    SAY("%d\n", getpid() > 0 && time(NULL) > 1700000000);
}
"""
BUILDS = {
    "C++": (CPP, "g++", ("-std=c++20", "-pthread"), 17),
    "C, musl": (C, "musl-gcc", ("-pthread",), 10),
}


@pytest.mark.parametrize("made", BUILDS)
def test_the_standard_library_does_what_it_does_natively(tmp_path, made):
    source, compiler, flags, lines = BUILDS[made]
    if compiler == "musl-gcc":
        need_package("musl-tools")
    program = compile_guest(source + MAIN, compiler, flags)
    check_alike(program, fill(tmp_path / "data"), lines)
