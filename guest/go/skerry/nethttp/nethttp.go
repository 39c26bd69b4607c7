// Package nethttp has handlers of net/http answer requests, so that what is written for
// http.ListenAndServe runs inside of skerry:
//
//	func main() {
//		http.HandleFunc("/hello/", hello)
//		nethttp.Serve(nil)
//	}
//
// A response is sent when the handler returns. http.Flusher and http.Hijacker are not
// there, nor are http.Client and other sockets.
package nethttp

import (
	"bytes"
	"net/http"

	"skerry"
)

// Serve ends start-up, and has handler answer each request; nil is
// http.DefaultServeMux. It does not return.
func Serve(handler http.Handler) {
	if handler == nil {
		handler = http.DefaultServeMux
	}
	skerry.Serve(func(request *skerry.Request) skerry.Response {
		asked, err := translate(request)
		if err != nil {
			return skerry.Text(http.StatusBadRequest, "malformed request\n")
		}
		answer := writer{header: http.Header{}}
		handler.ServeHTTP(&answer, asked)
		return answer.response()
	})
}

// translate makes a request as a server of net/http would.
func translate(request *skerry.Request) (*http.Request, error) {
	asked, err := http.NewRequest(request.Method(), request.URL(),
		bytes.NewReader(request.Body()))
	if err != nil {
		return nil, err
	}
	for _, each := range request.Headers() {
		asked.Header.Add(each.Name, each.Value)
	}
	asked.Host = asked.Header.Get("Host")
	asked.Header.Del("Host")
	asked.RequestURI = request.URL()
	return asked, nil
}

// writer gathers a response.
type writer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *writer) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(data)
}

func (w *writer) response() skerry.Response {
	w.WriteHeader(http.StatusOK)
	if w.header.Get("Content-Type") == "" && w.body.Len() > 0 {
		w.header.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
	}
	answer := skerry.Response{Status: w.status, Body: w.body.Bytes()}
	for name, values := range w.header {
		for _, value := range values {
			if name == "Content-Type" {
				answer.ContentType = value
			} else {
				answer = answer.With(name, value)
			}
		}
	}
	return answer
}
