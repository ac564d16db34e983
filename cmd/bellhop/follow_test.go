package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// step is one command of a document, and what it says comes of it.
type step struct{ command, output string }

// steps reads the console blocks of a document. A command begins with "$ " and
// goes on after a line that ends in a backslash; the lines after it are its
// output.
func steps(text string) (all []step) {
	inside, more := false, false
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			all = append(all, step{command: line[2:]})
			more = strings.HasSuffix(line, `\`)
		case more:
			all[len(all)-1].command += "\n" + line
			more = strings.HasSuffix(line, `\`)
		default:
			all[len(all)-1].output += line + "\n"
		}
	}
	return all
}

// expects is the pattern of an output, in which … stands for anything.
func expects(output string) *regexp.Regexp {
	parts := strings.Split(strings.TrimSpace(output), "…")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
}

// follow does what a document says, in one shell, with $URL for where Bellhop
// usually is, and looks whether that comes of it.
func follow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: follow FILE")
	}
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	const between = "\x1e"
	all := steps(strings.ReplaceAll(string(text), "http://localhost:6969", ts.Getenv("URL")))
	if len(all) == 0 {
		ts.Fatalf("no console block is in %s", args[0])
	}
	var script strings.Builder
	for _, s := range all {
		script.WriteString(s.command + "\nprintf '" + between + "'\n")
	}
	shell := exec.Command("bash", "-o", "pipefail", "-c", script.String())
	shell.Dir, shell.Env = ts.Getenv("WORK"), append(stageOf(ts).environ, "PATH="+ts.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	if err != nil {
		ts.Fatalf("%v:\n%s", err, out)
	}
	came := strings.Split(string(out), between)
	for i, s := range all {
		if i >= len(came) {
			ts.Fatalf("the shell ended before:\n$ %s", s.command)
		}
		if got := strings.TrimSpace(came[i]); !expects(s.output).MatchString(got) {
			ts.Fatalf("%s says:\n$ %s\n%s\nand what came is:\n%s", args[0], s.command, s.output, got)
		}
	}
}
