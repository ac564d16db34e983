package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// stay keeps a client from following redirects.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// order is what an http command asks for.
type order struct {
	method, url string
	header      http.Header
	body        string
	pad         int // spaces after the body
	browser     bool
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	o := parseOrder(ts, args)
	answer, err := o.send(ts)
	switch {
	case neg && err == nil:
		ts.Fatalf("something answers:\n%s", answer)
	case !neg:
		ts.Check(err)
		stageOf(ts).show(ts, answer)
	}
}

func parseOrder(ts *testscript.TestScript, args []string) *order {
	const usage = "usage: http METHOD URL [-H 'Name: value']... [-d BODY | -j name=value... | -f name=value... | -F name=value...] [-pad N] [-jar]"
	if len(args) < 2 {
		ts.Fatalf(usage)
	}
	o := &order{method: args[0], url: args[1], header: http.Header{}}
	var object, form, parts []string
	for args = args[2:]; len(args) > 0; args = args[1:] {
		if args[0] == "-jar" {
			o.browser = true
			o.header.Set("Accept", "text/html")
			continue
		}
		if len(args) < 2 {
			ts.Fatalf(usage)
		}
		value := args[1]
		switch args[0] {
		case "-H":
			name, content, _ := strings.Cut(value, ":")
			o.header.Add(name, strings.TrimSpace(content))
		case "-d":
			o.body = value
		case "-pad":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			o.pad = n
		case "-j":
			object = append(object, value)
		case "-f":
			form = append(form, value)
		case "-F":
			parts = append(parts, value)
		default:
			ts.Fatalf(usage)
		}
		args = args[1:]
	}
	o.fillJSON(ts, object)
	o.fill(ts, form, parts)
	return o
}

// fillJSON makes a body of strings.
func (o *order) fillJSON(ts *testscript.TestScript, object []string) {
	if len(object) == 0 {
		return
	}
	values := map[string]string{}
	for _, field := range object {
		name, value, _ := strings.Cut(field, "=")
		values[name] = value
	}
	body, err := json.Marshal(values)
	ts.Check(err)
	o.body = string(body)
	o.header.Set("Content-Type", "application/json")
}

// fill makes the body of a form.
func (o *order) fill(ts *testscript.TestScript, form, parts []string) {
	if len(form) > 0 {
		values := url.Values{}
		for _, field := range form {
			name, value, _ := strings.Cut(field, "=")
			values.Add(name, value)
		}
		o.body = values.Encode()
		o.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if len(parts) > 0 {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for _, field := range parts {
			name, value, _ := strings.Cut(field, "=")
			ts.Check(w.WriteField(name, value))
		}
		ts.Check(w.Close())
		o.body = body.String()
		o.header.Set("Content-Type", w.FormDataContentType())
	}
}

// send returns the answer as text: status line, headers, body.
func (o *order) send(ts *testscript.TestScript) (string, error) {
	req, err := http.NewRequest(o.method, o.url, strings.NewReader(o.body+strings.Repeat(" ", o.pad)))
	ts.Check(err)
	req.Header, req.Host = o.header, o.header.Get("Host")
	client := *stageOf(ts).browser
	if !o.browser {
		client.Jar = nil
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	text.WriteString(resp.Status + "\n")
	ts.Check(resp.Header.Write(&text))
	return strings.ReplaceAll(text.String(), "\r\n", "\n") + "\n" + string(body), nil
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: eventually URL PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	o := &order{method: http.MethodGet, url: args[0]}
	until(ts, pattern.String()+" at "+o.url, func() bool {
		answer, err := o.send(ts)
		if err != nil || !pattern.MatchString(answer) {
			return false
		}
		stageOf(ts).show(ts, answer)
		return true
	})
}
