package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

const (
	helpWidth  = 80 // columns of the terminal the help is written for
	helpIndent = "      "
	widest     = 100 // columns of a line with variables
	varColumn  = 44  // where the name of the variable stands
)

// render writes the reference of the command that ctx selected, or of the
// program.
func render(ctx *kong.Context) string {
	var b strings.Builder
	node := ctx.Selected()
	switch {
	case node == nil:
		fmt.Fprintf(&b, "Usage: bellhop <command>\n\n%s\n\n", fill(programHelp, ""))
		writeCommands(&b, ctx.Model.Node)
		b.WriteString("\nbellhop <command> --help is the reference of one command.\n")
	default:
		fmt.Fprintf(&b, "Usage: %s%s\n\n%s\n", node.FullPath(), operands(node), fill(describe(node), ""))
		if len(node.Children) > 0 {
			b.WriteString("\n")
			writeCommands(&b, node)
		}
		writeFlags(&b, node)
	}
	return b.String()
}

// describe is a command's help with its detail.
func describe(node *kong.Node) string {
	return strings.TrimSpace(node.Help + " " + node.Tag.Get("detail"))
}

func operands(node *kong.Node) string {
	out := ""
	if len(node.Children) > 0 {
		out += " <command>"
	}
	if len(node.Flags) > 0 {
		out += " [flags]"
	}
	for _, arg := range node.Positional {
		out += " " + arg.Summary()
	}
	return out
}

// writeCommands lists the leaves of the command tree, one a line.
func writeCommands(b *strings.Builder, node *kong.Node) {
	for _, leaf := range node.Leaves(true) {
		fmt.Fprintf(b, "  %-26s%s\n", leaf.FullPath(), leaf.Help)
	}
}

// writeFlags writes a command's flags under their groups' headings.
func writeFlags(b *strings.Builder, node *kong.Node) {
	if hasVariables(node) {
		b.WriteString("\n" + fill(variableHelp, "") + "\n")
	}
	title := ""
	for _, flag := range node.Flags {
		if group := groupTitle(flag); group != title {
			title = group
			fmt.Fprintf(b, "\n%s\n", title)
		}
		b.WriteString("\n" + describeFlag(flag))
	}
}

func hasVariables(node *kong.Node) bool {
	for _, flag := range node.Flags {
		if flag.Tag.Has("var") {
			return true
		}
	}
	return false
}

func groupTitle(flag *kong.Flag) string {
	if flag.Group == nil {
		return "Options"
	}
	return flag.Group.Title
}

// describeFlag is the flag with its variable, its help, and its default.
func describeFlag(flag *kong.Flag) string {
	head := "  --" + flag.Name
	if !flag.IsBool() {
		head += " " + flag.PlaceHolder
	}
	if name := flag.Tag.Get("var"); name != "" {
		head = fmt.Sprintf("%-*s%s", varColumn, head, name)
		if flag.Tag.Has("secret") {
			or := " or " + name + "_FILE"
			if len(head)+len(or) > widest {
				or = "\n" + strings.Repeat(" ", varColumn) + or[1:]
			}
			head += or
		}
	}
	out := head + "\n" + fill(flag.Help, helpIndent) + "\n"
	if standard := defaultOf(flag); standard != "" {
		out += fill("Default: "+standard+".", helpIndent) + "\n"
	}
	return out
}

// defaultOf says a default in words. Only what the struct's tags say is shown,
// never a value, which could be a secret.
func defaultOf(flag *kong.Flag) string {
	switch {
	case flag.Tag.Get("fallback") != "":
		return flag.Tag.Get("fallback")
	case flag.IsBool() && flag.Tag.Has("var"):
		return "off"
	case flag.Tag.Get("note") != "":
		return flag.Default + ", or " + flag.Tag.Get("note")
	}
	return flag.Default
}

// fill breaks each line of a text into lines of the help's width.
func fill(text, indent string) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := indent
		for word := range strings.FieldsSeq(paragraph) {
			if len(line) > len(indent) && len(line)+1+len(word) > helpWidth {
				out = append(out, line)
				line = indent
			}
			if len(line) > len(indent) {
				line += " "
			}
			line += word
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return strings.Join(out, "\n")
}
