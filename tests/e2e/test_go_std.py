"""The standard library and the runtime of Go do in a guest what they do natively, but
for what needs a network or other processes."""

import shutil

from support.alike import check_alike, fill
from support.guests import ROOT
from support.languages import build, need

SOURCE = r"""
package main

import (
	"bytes"
	"compress/gzip"
	"container/heap"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"skerry/skerry"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"
	"time"
	"unicode/utf8"
)

func goroutines(to io.Writer) {
	numbers, squares := make(chan int), make(chan int, 4)
	var workers sync.WaitGroup
	for n := 0; n < 8; n++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for number := range numbers {
				squares <- number * number
			}
		}()
	}
	go func() {
		for n := 0; n < 1000; n++ {
			numbers <- n
		}
		close(numbers)
		workers.Wait()
		close(squares)
	}()
	sum := 0
	for square := range squares {
		sum += square
	}
	fmt.Fprintln(to, "squares", sum)
	var lock sync.Mutex
	var count, total int64
	var once sync.Once
	for n := 0; n < 500; n++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			once.Do(func() { fmt.Fprintln(to, "once") })
			atomic.AddInt64(&count, 1)
			lock.Lock()
			total++
			lock.Unlock()
			runtime.Gosched()
		}()
	}
	workers.Wait()
	fmt.Fprintln(to, "counted", count, total)
}

func selects(to io.Writer) {
	never, ready := make(chan int), make(chan string, 1)
	select {
	case <-never:
	default:
		fmt.Fprintln(to, "default")
	}
	select {
	case <-never:
	case <-time.After(3 * time.Millisecond):
		fmt.Fprintln(to, "after a while")
	}
	time.AfterFunc(time.Millisecond, func() { ready <- "timer" })
	fmt.Fprintln(to, <-ready)
	ticker, ticks := time.NewTicker(time.Millisecond), 0
	for range ticker.C {
		if ticks++; ticks == 3 {
			ticker.Stop()
			break
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	<-limited.Done()
	err := limited.Err()
	fmt.Fprintln(to, ticks, err, errors.Is(err, context.DeadlineExceeded))
}

var spins uint64

// A goroutine that never yields has to be interrupted, or nothing else would run.
func spinning(to io.Writer) {
	var stop uint32
	ended := make(chan bool)
	for n := 0; n < runtime.GOMAXPROCS(0)+1; n++ {
		go func() {
			for atomic.LoadUint32(&stop) == 0 {
				spins++
			}
			ended <- true
		}()
	}
	time.Sleep(5 * time.Millisecond)
	runtime.GC()
	atomic.StoreUint32(&stop, 1)
	for n := 0; n < runtime.GOMAXPROCS(0)+1; n++ {
		<-ended
	}
	fmt.Fprintln(to, "interrupted", spins > 0)
}

type node struct {
	left, right *node
	text        string
}

func tree(depth int) *node {
	if depth == 0 {
		return nil
	}
	return &node{tree(depth - 1), tree(depth - 1), strconv.Itoa(depth)}
}

func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return len(n.text) + n.left.sum() + n.right.sum()
}

func garbage(to io.Writer) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	kept, sum := tree(12), 0
	for n := 0; n < 20; n++ {
		sum += tree(12).sum()
		_ = make([]byte, 1<<20)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Fprintln(to, sum, kept.sum(), after.NumGC > before.NumGC)
	fmt.Fprintln(to, "small", after.HeapAlloc < 64<<20)
	finalized := make(chan bool)
	runtime.SetFinalizer(&node{text: "gone"}, func(*node) { finalized <- true })
	for gone := false; !gone; {
		runtime.GC()
		select {
		case gone = <-finalized:
		case <-time.After(time.Millisecond):
		}
	}
	debug.FreeOSMemory()
}

func recovered(to io.Writer, what string, do func()) {
	defer func() {
		fault := recover()
		_, isRuntime := fault.(runtime.Error)
		fmt.Fprintln(to, what, fault, isRuntime)
	}()
	do()
}

func panics(to io.Writer) {
	var none *node
	var table map[string]int
	var any interface{} = "text"
	zero, at := 0, 5
	recovered(to, "nil:", func() { fmt.Fprintln(to, none.text) })
	recovered(to, "index:", func() { fmt.Fprintln(to, []int{1, 2}[at]) })
	recovered(to, "slice:", func() { fmt.Fprintln(to, "abc"[at:]) })
	recovered(to, "zero:", func() { fmt.Fprintln(to, 1/zero) })
	recovered(to, "map:", func() { table["a"] = 1 })
	recovered(to, "type:", func() { fmt.Fprintln(to, any.(int)) })
	recovered(to, "own:", func() { panic(errors.New("on purpose")) })
	recovered(to, "closed:", func() { c := make(chan int); close(c); close(c) })
	done := make(chan bool)
	go func() {
		defer close(done)
		recovered(to, "elsewhere:", func() { _ = *(*int)(nil) })
	}()
	<-done
	deep := 0
	var down func()
	down = func() {
		if deep++; deep < 100000 {
			down()
		}
	}
	down()
	fmt.Fprintln(to, "deep", deep)
}

type numbers []int

func (n numbers) Len() int            { return len(n) }
func (n numbers) Less(i, j int) bool  { return n[i] < n[j] }
func (n numbers) Swap(i, j int)       { n[i], n[j] = n[j], n[i] }
func (n *numbers) Push(x interface{}) { *n = append(*n, x.(int)) }
func (n *numbers) Pop() interface{} {
	last := (*n)[len(*n)-1]
	*n = (*n)[:len(*n)-1]
	return last
}

type town struct {
	Name   string   `json:"name" xml:"name,attr"`
	People int      `json:"people,omitempty"`
	Parts  []string `json:"parts"`
}

func encodings(to io.Writer) {
	var town_ town
	var any interface{}
	text, _ := json.Marshal(town{"Turku", 201863, []string{"a<b", "ä"}})
	err := json.Unmarshal([]byte(`{"name": "Lund", "parts": ["x"], "more": 1}`), &town_)
	fmt.Fprintln(to, string(text), town_, err)
	err = json.Unmarshal([]byte(`{"a": [1, 2.5, null, "\u00e4"]}`), &any)
	fmt.Fprintln(to, err, any, json.Unmarshal([]byte(`{"a": `), &any))
	text, _ = xml.Marshal(town_)
	rows, _ := csv.NewReader(strings.NewReader("a,\"b,c\"\nd,e\n")).ReadAll()
	fmt.Fprintln(to, string(text), rows)
	fmt.Fprintln(to, base64.URLEncoding.EncodeToString([]byte{255, 254}))
	var packed bytes.Buffer
	binary.Write(&packed, binary.BigEndian, struct{ A uint16; B int32 }{7, -1})
	fmt.Fprintf(to, "%x %v\n", packed.Bytes(), crc32.ChecksumIEEE([]byte("text")))
}

func cryptography(to io.Writer) {
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte("text"))
	fmt.Fprintf(to, "%x %x\n", sha256.Sum256(make([]byte, 100000)), mac.Sum(nil))
	block, _ := aes.NewCipher(make([]byte, 16))
	sealer, _ := cipher.NewGCM(block)
	fmt.Fprintf(to, "%x\n", sealer.Seal(nil, make([]byte, 12), []byte("text"), nil))
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	signed := ed25519.Sign(private, []byte("text"))
	fmt.Fprintln(to, ed25519.Verify(public, []byte("text"), signed))
	var small bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&small, 9)
	fmt.Fprint(writer, strings.Repeat("again and ", 5000))
	writer.Close()
	size := small.Len()
	reader, _ := gzip.NewReader(&small)
	large, err := io.ReadAll(reader)
	fmt.Fprintln(to, size, len(large), err)
}

func texts(to io.Writer) {
	words := strings.Fields(" the quick  brown fox jumps over the lazy dog ")
	sort.Slice(words, func(i, j int) bool { return words[i] > words[j] })
	fmt.Fprintln(to, words, sort.SearchInts([]int{1, 4, 9}, 4))
	pattern := regexp.MustCompile(`(?i)(\w+)@(\w+)\.(?P<top>[a-z]{2,3})`)
	fmt.Fprintln(to, pattern.FindAllStringSubmatch("a@b.no, C@D.com; e@f", -1))
	fmt.Fprintln(to, pattern.ReplaceAllString("x@y.fi", "${top}.$1"))
	page := template.Must(template.New("page").Parse(
		"{{range $i, $t := .}}{{if $i}}, {{end}}{{printf \"%q\" .Name}}{{end}}\n"))
	fmt.Fprintln(to, page.Execute(to, []town{{Name: "Oslo"}, {Name: "Visby"}}))
	fmt.Fprintln(to, strings.ToUpper("straße"), utf8.RuneCountInString("世界"),
		strings.NewReplacer("a", "b").Replace("banana"), strings.EqualFold("Å", "å"))
	fmt.Fprintf(to, "%8.3f|%-6d|%+v|%#v|%T\n", math.Pi, 42, town{}, []byte("x"), 1i)
	_, err := strconv.Atoi("12x")
	fmt.Fprintln(to, err, math.Sqrt(2), math.Inf(1), math.Float32bits(0.1))
	fmt.Fprintln(to, new(big.Int).Exp(big.NewInt(3), big.NewInt(300), nil))
	ordered := &numbers{5, 2, 8}
	heap.Init(ordered)
	heap.Push(ordered, 1)
	fmt.Fprintln(to, heap.Pop(ordered), heap.Pop(ordered))
	day := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC).AddDate(1, 0, 0)
	fmt.Fprintln(to, day.Format(time.RFC1123), day.YearDay(), 90*time.Minute)
	begin := time.Now()
	time.Sleep(2 * time.Millisecond)
	fmt.Fprintln(to, time.Since(begin) >= 2*time.Millisecond, begin.Unix() > 1700000000)
}

func files(to io.Writer, data string) {
	filepath.WalkDir(data, func(path string, entry os.DirEntry, err error) error {
		info, _ := entry.Info()
		if !entry.IsDir() {
			fmt.Fprintln(to, entry.Name(), info.Size(), info.Mode())
		}
		return err
	})
	text, err := os.ReadFile(data + "/one")
	fmt.Fprintf(to, "%q %v\n", text, err)
	file, _ := os.Open(data + "/two")
	defer file.Close()
	part := make([]byte, 3)
	n, err := file.ReadAt(part, 250)
	fmt.Fprintln(to, part[:n], err)
	_, err = os.ReadFile(data + "/missing")
	fmt.Fprintln(to, errors.Is(err, os.ErrNotExist))
	os.Setenv("OWN", "set here")
	fmt.Fprintln(to, os.Getenv("OWN"), os.Getpid() > 0, runtime.GOOS, runtime.GOARCH)
	input, err := io.ReadAll(os.Stdin)
	fmt.Fprintln(to, len(input), err)
}

func report(data string) string {
	var to bytes.Buffer
	goroutines(&to)
	selects(&to)
	spinning(&to)
	garbage(&to)
	panics(&to)
	encodings(&to)
	cryptography(&to)
	texts(&to)
	files(&to, data)
	return to.String()
}

func main() {
	if len(os.Args) > 1 {
		fmt.Print(report(os.Args[1]))
		return
	}
	data := os.Getenv("DATA")
	skerry.Serve(func(*skerry.Request) skerry.Response {
		return skerry.Text(200, report(data))
	})
}
"""


def test_the_standard_library_of_go_does_what_it_does_natively(tmp_path):
    need("go")
    project = tmp_path / "project"
    shutil.copytree(ROOT / "guest" / "go", project)
    (project / "main.go").write_text(SOURCE)
    build("CGO_ENABLED=0 go build -o std main.go", project, tmp_path)
    check_alike(project / "std", fill(tmp_path / "data"), lines=45)
