// Package config turns a command line and its environment into one typed
// struct per command.
//
// # Where a setting comes from
//
// A flag wins over its environment variable, which wins over the default. An
// empty variable counts as not set, because that is what compose files and
// unit files write for "nothing". A secret may also come from the file its
// variable with _FILE at the end names. What a setting's variable is called
// stands beside it in the struct, in the tag var.
//
// # Faults
//
// Everything that is wrong with the settings is reported at once, as [Faults]:
// a value that cannot be read does not hide a rule that is broken elsewhere.
// A command line that cannot be understood at all is a [UsageError].
//
// # Secrets
//
// A secret has a type that never prints itself, see [SMTPURL], [Location] and [Secret]. Errors and help
// never hold a secret's value, not even a mistyped one's.
//
// The package knows no other package of Bellhop, and apart from the files that
// settings name it touches nothing.
package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// Invocation is what the caller of the program wants.
type Invocation struct {
	// Command is one of *[Help], *[Serve], *[Bus], *[Verify],
	// *[DeadList], *[DeadReplay], *[DeadDiscard], *[Erase], *[Export], *[KeysList], *[KeysRotate], *[KeysRetire], *[Doctor], *[Migrate],
	// *[SetupServiceBus], *[Version], *[BenchSignup], *[BenchMail], *[BenchBus].
	Command any
	// Warnings are sentences about settings that are probably not what was
	// meant, but can be run.
	Warnings []string
}

// Help is asked for by --help, by "help", or by no arguments at all.
type Help struct {
	// Text is the reference of the program or of one command.
	Text string
}

// UsageError is a command line that cannot be understood.
type UsageError struct {
	// Command is the command whose help tells more, "" for the program's.
	Command string
	// Problem says what was not understood. It holds no secret.
	Problem string
}

// Error says what is wrong and where the reference is.
func (e *UsageError) Error() string {
	return fmt.Sprintf("%s; %s lists what there is", e.Problem, strings.Join(strings.Fields("bellhop "+e.Command+" --help"), " "))
}

// Parse reads a command line without the program's name, and an environment of
// the form os.Environ returns. It returns [Faults], a *[UsageError], or an
// Invocation whose settings have passed Validate.
func Parse(args, environ []string) (*Invocation, error) {
	grammar, src := new(grammar), newSources(environ)
	parser, err := newParser(grammar, src)
	if err != nil {
		return nil, fmt.Errorf("build the command line's grammar: %w", err)
	}
	args = wantHelp(args)
	ctx, err := parser.Parse(args)
	if src.help != "" {
		return &Invocation{Command: &Help{Text: src.help}}, nil
	}
	if err := src.verdict(err); err != nil {
		return nil, err
	}
	command := ctx.Selected().Target.Addr().Interface()
	return &Invocation{Command: command, Warnings: append(src.unknown(parser.Model), advise(command)...)}, nil
}

func newParser(grammar *grammar, src *sources) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("bellhop"),
		kong.Description(programHelp),
		kong.Resolvers(src),
		kong.Exit(func(int) {}), // after help; Parse looks at src.help instead
		kong.Help(func(_ kong.HelpOptions, ctx *kong.Context) error {
			src.help = render(ctx)
			return nil
		}),
		groups(),
		mappers(src),
	)
}

// wantHelp turns the ways people ask for help into the one kong knows.
func wantHelp(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	}
	return args
}

// verdict joins the faults met while reading with those that Validate found,
// or names what was not understood.
func (s *sources) verdict(err error) error {
	var broken Faults
	if err != nil && !errors.As(err, &broken) {
		return usage(err)
	}
	all := append(s.faults, broken...)
	if len(all) == 0 {
		return nil
	}
	for i := range all {
		all[i].Source = s.used[all[i].Flag]
	}
	return all
}

var (
	// userinfo is what stands between :// and the last @.
	userinfo = regexp.MustCompile(`(?s)://.*@`)
	// operand is how kong quotes what it misses.
	operand = regexp.MustCompile(`"(<[a-z-]+>(?: \.\.\.)?)"`)
	// noValue is how kong says that a flag ends the line.
	noValue = regexp.MustCompile(`expected \S+ value but got "EOL" \(<EOL>\)`)
)

// usage puts kong's words into ours, without any password they may repeat.
func usage(err error) error {
	problem := userinfo.ReplaceAllString(err.Error(), "://***@")
	problem = operand.ReplaceAllString(problem, "$1")
	problem = noValue.ReplaceAllString(problem, "needs a value")
	out := &UsageError{Problem: problem}
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		out.Command = strings.TrimPrefix(parse.Context.Selected().FullPath(), "bellhop ")
	}
	return out
}
