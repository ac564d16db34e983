package busadmin

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The XML namespaces of the admin API.
const (
	atomSpace     = "http://www.w3.org/2005/Atom"
	serviceSpace  = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
	countsSpace   = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
	instanceSpace = "http://www.w3.org/2001/XMLSchema-instance"
)

// maxDepth is how deep elements may be nested; an entry with a rule of access
// has seven.
const maxDepth = 16

// element is an XML element with what is in it.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string // of this element alone
	children []*element
}

// parseXML reads a document of which the caller has bounded the size. It knows
// no entities but the five of XML, refuses a DOCTYPE and every encoding but
// UTF-8.
func parseXML(document []byte) (*element, error) {
	decoder := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(document, []byte("\ufeff"))))
	root := &element{} // above the document's own
	open := []*element{root}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("want well-formed XML: %w", err)
		}
		if open, err = take(token, open); err != nil {
			return nil, err
		}
	}
	if len(root.children) != 1 {
		return nil, fmt.Errorf("want one XML document, found %d", len(root.children))
	}
	return root.children[0], nil
}

// take puts a token where it belongs and returns the elements that are open
// after it, the innermost last.
func take(token xml.Token, open []*element) ([]*element, error) {
	inner := open[len(open)-1]
	switch token := token.(type) {
	case xml.StartElement:
		if len(open) > maxDepth {
			return nil, fmt.Errorf("want at most %d elements inside each other", maxDepth)
		}
		child := &element{name: token.Name, attrs: token.Copy().Attr}
		inner.children = append(inner.children, child)
		return append(open, child), nil
	case xml.EndElement:
		return open[:len(open)-1], nil
	case xml.CharData:
		inner.text += string(token)
	case xml.Directive:
		return nil, errors.New("want XML without a DOCTYPE")
	}
	return open, nil
}

// child is the first child of that name, nil if there is none.
func (e *element) child(space, local string) *element {
	for _, c := range e.children {
		if c.name.Space == space && c.name.Local == local {
			return c
		}
	}
	return nil
}

// instance is an attribute of XML Schema instances, such as type and nil, by
// whichever prefix.
func (e *element) instance(local string) string {
	for _, a := range e.attrs {
		if a.Name.Space == instanceSpace && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// content is the element's text without the space around it.
func (e *element) content() string { return strings.TrimSpace(e.text) }
