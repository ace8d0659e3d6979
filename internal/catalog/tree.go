package catalog

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// spot is a place in the file. Both start at 1; a column counts characters.
type spot struct{ line, column int }

type shape int

const (
	null shape = iota
	text
	number
	boolean
	list
	mapping
)

func (s shape) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a mapping"}[s]
}

// node is YAML with its aliases resolved and its merge keys merged. Subtrees
// that aliases share are shared here as well, so a tree must not be written to;
// weight is its size as if they were not.
type node struct {
	spot
	shape   shape
	value   any    // of a scalar: string, int64, uint64, float64, bool
	raw     string // of a scalar: as it was written
	items   []*node
	entries []entry
	weight  int
}

type entry struct {
	spot
	key   string
	value *node
}

// get returns the entry of the key, or nil.
func (n *node) get(key string) *entry {
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	return nil
}

// maxWeight bounds the tree with its aliases written out: a file of a few
// lines can otherwise stand for billions of values.
const maxWeight = 100_000

// builder turns goccy's tree into ours.
type builder struct {
	r       *reader
	anchors map[string]*node
	open    []string // anchors around the node being built
	weight  int
}

func (b *builder) build(n ast.Node) *node {
	out := &node{spot: spotOf(n), weight: 1}
	if b.weight++; b.weight > maxWeight {
		return out
	}
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.StringNode:
		out.shape, out.value, out.raw = text, n.Value, n.Value
	case *ast.LiteralNode:
		out.shape = text
		if n.Value != nil {
			out.value, out.raw = n.Value.Value, n.Value.Value
		} else {
			out.value = ""
		}
	case *ast.IntegerNode:
		out.shape, out.value, out.raw = number, n.Value, n.Token.Value
	case *ast.FloatNode:
		out.shape, out.value, out.raw = number, n.Value, n.Token.Value
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			b.refuse(out, n.Token.Value+" is beyond what a number can hold.")
		}
	case *ast.BoolNode:
		out.shape, out.value, out.raw = boolean, n.Value, n.Token.Value
	case *ast.AnchorNode:
		return b.anchor(n, out)
	case *ast.AliasNode:
		return b.alias(n, out)
	case *ast.SequenceNode:
		out.shape = list
		for _, v := range n.Values {
			item := b.build(v)
			if s, ok := glued(v); n.IsFlowStyle && ok {
				item = &node{spot: item.spot, shape: text, value: s, raw: s, weight: 1}
			}
			out.items = append(out.items, item)
			out.weight += item.weight
		}
	case *ast.MappingNode:
		b.mapping(n.Values, out)
	case *ast.MappingValueNode:
		b.mapping([]*ast.MappingValueNode{n}, out)
	case *ast.TagNode:
		b.refuse(out, "Tags such as "+n.Start.Value+" have no meaning in this file. Put text in quotes instead.")
	default:
		b.refuse(out, n.GetToken().Value+" has no meaning in this file.")
	}
	return out
}

// glued returns the text of an item such as http://127.0.0.1:8080 in brackets.
// YAML reads it as text, since no space follows the colon; goccy reads a
// mapping from http://127.0.0.1 to 8080.
func glued(item ast.Node) (string, bool) {
	if m, ok := item.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) == 1 {
		item = m.Values[0]
	}
	v, ok := item.(*ast.MappingValueNode)
	if !ok || v.Value == nil || v.Start == nil {
		return "", false
	}
	key, isText := v.Key.(*ast.StringNode)
	value, isScalar := v.Value.(ast.ScalarNode)
	if !isText || !isScalar || key.Token.Type != token.StringType {
		return "", false
	}
	colon, first := spotOfToken(v.Start), spotOfToken(value.GetToken())
	if first != (spot{colon.line, colon.column + 1}) || value.Type() == ast.NullType {
		return "", false
	}
	return key.Value + ":" + value.GetToken().Value, true
}

// refuse reports a value that no key can have, and leaves it empty.
func (b *builder) refuse(out *node, why string) {
	b.r.add(out.spot, "value has no meaning here", why)
	out.shape = null
}

func (b *builder) anchor(n *ast.AnchorNode, out *node) *node {
	if n.Name == nil || n.Value == nil {
		return out
	}
	name := n.Name.GetToken().Value
	b.open = append(b.open, name)
	v := b.build(n.Value)
	b.open = b.open[:len(b.open)-1]
	b.anchors[name] = v
	return v
}

func (b *builder) alias(n *ast.AliasNode, out *node) *node {
	if n.Value == nil {
		return out
	}
	name := n.Value.GetToken().Value
	switch v := b.anchors[name]; {
	case slices.Contains(b.open, name):
		b.r.add(out.spot, "anchor contains itself", fmt.Sprintf("*%s stands inside of what &%s names.", name, name))
	case v == nil:
		var names []string
		if len(b.anchors) < 100 { // else a suggestion takes longer than it helps
			names = slices.Sorted(maps.Keys(b.anchors))
		}
		b.r.add(out.spot, "unknown anchor", fmt.Sprintf("No &%s stands before *%s%s", name, name, didYouMean(name, names)))
	default:
		b.weight += v.weight
		return v
	}
	return out
}

func (b *builder) mapping(values []*ast.MappingValueNode, out *node) {
	out.shape = mapping
	seen := map[string]spot{}
	var merged []*node
	for _, v := range values {
		at := spotOf(v.Key)
		key, merge, ok := keyOf(v.Key)
		if !ok {
			b.r.add(at, "key is not text", "A key must be plain text or in quotes.")
			continue
		}
		value := b.build(v.Value)
		out.weight += value.weight
		if merge {
			merged = append(merged, b.merged(value)...)
			continue
		}
		if value.shape == null {
			value.spot = at
		}
		if first, twice := seen[key]; twice {
			b.r.add(at, "key is given twice",
				fmt.Sprintf("%q stands already on line %d. Only one of them can count: remove the other.", key, first.line))
			continue
		}
		seen[key] = at
		out.entries = append(out.entries, entry{at, key, value})
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, own := seen[e.key]; !own {
				seen[e.key] = e.spot
				out.entries = append(out.entries, e)
			}
		}
	}
}

// merged returns the mappings that a merge key ("<<") names.
func (b *builder) merged(v *node) []*node {
	parts := []*node{v}
	if v.shape == list {
		parts = v.items
	}
	var all []*node
	for _, p := range parts {
		switch p.shape {
		case mapping:
			all = append(all, p)
		case null:
		default:
			b.r.add(p.spot, "merge key needs a mapping", "After << comes *name or a list of them, and each must name a mapping.")
		}
	}
	return all
}

func keyOf(k ast.MapKeyNode) (key string, merge, ok bool) {
	var n ast.Node = k
	if m, isComplex := k.(*ast.MappingKeyNode); isComplex {
		n = m.Value
	}
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, false, true
	case *ast.MergeKeyNode:
		return "", true, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, false, true
	default:
		return "", false, false
	}
}

// spotOf returns where a node begins. goccy itself gives a mapping the place of
// its first colon.
func spotOf(n ast.Node) spot {
	if n == nil {
		return spot{}
	}
	switch m := n.(type) {
	case *ast.MappingKeyNode:
		if m.Value != nil {
			n = m.Value
		}
	case *ast.MappingValueNode:
		return spotOf(m.Key)
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return spotOf(m.Values[0].Key)
		}
	}
	return spotOfToken(n.GetToken())
}

func spotOfToken(t *token.Token) spot {
	if t == nil || t.Position == nil {
		return spot{}
	}
	return spot{t.Position.Line, t.Position.Column}
}

// maxDepth and maxKeys bound what the parser is given: it works recursively,
// and in the square of the number of keys.
const (
	maxDepth = 50
	maxKeys  = 50_000
)

// tooMuch finds the token at which a file becomes too deep or too large to be
// read, and says why.
func tooMuch(tokens token.Tokens) (at spot, why string) {
	keys, flow, run, line := 0, 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
			run++
		case token.SequenceEndType, token.MappingEndType:
			flow--
			run = 0
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType, token.AliasType:
			run++
		case token.MappingValueType:
			keys++
		case token.StringType, token.CollectEntryType:
			// The name of an anchor comes as a string, and ends no run.
		default:
			run = 0
		}
		if l := spotOfToken(t).line; l != line {
			line, run = l, 0
		}
		switch {
		case flow > maxDepth || run > 2*maxDepth:
			return spotOfToken(t), fmt.Sprintf("Values are nested more than %d deep.", maxDepth)
		case keys > maxKeys:
			return spotOfToken(t), fmt.Sprintf("The file has more than %d keys.", maxKeys)
		}
	}
	return spot{}, ""
}

// syntax words a message of the YAML parser for people.
func syntax(message string) (detail string) {
	switch {
	case strings.Contains(message, "\t"):
		return "Indentation in YAML is made of spaces, and here is a tab. Replace it with spaces."
	case strings.Contains(message, "reserved character"):
		return strings.ToUpper(message[:1]) + message[1:] + " in YAML. Put the value in quotes."
	case strings.Contains(message, "mapping value is not allowed"), strings.Contains(message, "invalid key for this map"):
		return "A value with a colon in it must be put in quotes."
	case strings.Contains(message, "could not find end character"):
		return "The quote that begins here does not end."
	case strings.Contains(message, "value is not allowed in this context"):
		return "This cannot stand here. Is the line indented as its neighbours are, and is text in quotes whole?"
	case message == "":
		return "The file cannot be read as YAML."
	}
	return strings.ToUpper(message[:1]) + message[1:] + "."
}
