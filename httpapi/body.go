package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds on bodies.
const (
	maxBody  = 64 << 10
	maxDepth = 32 // of objects and arrays; custom data has its own, smaller bound
)

// hasBody tells whether anything was sent.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 }

// readBody returns the object that the body is, or what is wrong with it.
func readBody(r *http.Request) (object, error) {
	if err := checkContent(r.Header); err != nil {
		return object{}, err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return object{}, errTooLarge
	case err != nil:
		return object{}, errBadRequest.with("The body could not be read.")
	}
	return parseBody(raw)
}

// checkContent refuses what is not JSON:API as it is: parameters other than profile
// (JSON:API 1.1 "Client Responsibilities") and codings.
func checkContent(h http.Header) error {
	if len(h["Content-Encoding"]) > 0 {
		return headerFault(errMediaType.with("Bodies must not be encoded."), "Content-Encoding")
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	delete(params, "profile")
	if err != nil || media != mediaType || len(params) > 0 || len(h["Content-Type"]) != 1 {
		return headerFault(errMediaType.with("The body must be "+mediaType+"."), "Content-Type")
	}
	return nil
}

func headerFault(f *fault, name string) error {
	f.source = &source{Header: name}
	return f
}

// accepts refuses requests whose Accept fields name JSON:API only with parameters
// (JSON:API 1.1 "Server Responsibilities"), the weight and profile aside.
func accepts(r *http.Request) error {
	named := false
	for piece := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, params, err := mime.ParseMediaType(piece)
		if err != nil || media != mediaType {
			continue
		}
		delete(params, "q")
		delete(params, "profile")
		if len(params) == 0 {
			return nil
		}
		named = true
	}
	if named {
		return errNotAcceptable
	}
	return nil
}

// parseBody reads one JSON object and nothing after it. encoding/json alone would
// take fields in any case and the last of several: here they are met one by one.
func parseBody(raw []byte) (object, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return object{}, errBadRequest.with("The body is not one valid JSON document.")
	}
	p := parser{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw))}
	p.dec.UseNumber()
	v, err := p.value("", 0)
	if err != nil {
		return object{}, err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return object{}, errBadRequest.with("The body must be a JSON object.")
	}
	return object{fields: fields}, nil
}

// parser reads JSON that is known to be valid.
type parser struct {
	raw []byte
	dec *json.Decoder
}

func (p *parser) value(at string, depth int) (any, error) {
	tok, err := p.token(at)
	open, nested := tok.(json.Delim)
	switch {
	case err != nil || !nested:
		return tok, err
	case depth == maxDepth:
		return nil, errBadRequest.with("This is nested too deep.").at(at)
	case open == '{':
		return p.object(at, depth+1)
	}
	return p.array(at, depth+1)
}

func (p *parser) object(at string, depth int) (any, error) {
	fields := map[string]any{}
	for p.dec.More() {
		tok, err := p.token(at)
		if err != nil {
			return nil, err
		}
		name, _ := tok.(string)
		inner := child(at, name)
		if _, twice := fields[name]; twice {
			return nil, errBadRequest.with("This field is there twice.").at(inner)
		}
		if fields[name], err = p.value(inner, depth); err != nil {
			return nil, err
		}
	}
	_, err := p.token(at)
	return fields, err
}

func (p *parser) array(at string, depth int) (any, error) {
	list := []any{}
	for p.dec.More() {
		v, err := p.value(child(at, strconv.Itoa(len(list))), depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := p.token(at)
	return list, err
}

// token refuses text that is not what was sent: encoding/json decodes a lone
// surrogate to U+FFFD, so one that is not in the source stands for that.
func (p *parser) token(at string) (json.Token, error) {
	from := p.dec.InputOffset()
	tok, err := p.dec.Token()
	if err != nil {
		return nil, errBadRequest.with("The body is not valid JSON.").at(at)
	}
	text, ok := tok.(string)
	if ok && strings.Count(text, "\uFFFD") != bytes.Count(p.raw[from:p.dec.InputOffset()], []byte("\uFFFD")) {
		return nil, errBadRequest.with("This text has half of a surrogate pair.").at(at)
	}
	return tok, nil
}

// maxPointerName is how much of a field's name is repeated to whoever sent it.
const maxPointerName = 100

// child extends a JSON pointer (RFC 6901). Long names are not repeated.
func child(at, name string) string {
	if len(name) > maxPointerName {
		return at
	}
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// data returns the resource object of a request for a resource of this type: a new
// one when id is empty, else the one of that id.
func (c *call) data(kind, id string) (object, error) {
	body, err := readBody(c.r)
	if err != nil {
		return object{}, err
	}
	if err := body.only("data", "jsonapi"); err != nil {
		return object{}, err
	}
	data, err := body.object("data")
	if err != nil {
		return object{}, err
	}
	if err := data.only("type", "id", "attributes", "relationships"); err != nil {
		return object{}, err
	}
	return data, data.names(kind, id)
}

// names sees that a resource object is the one that the path means.
func (o object) names(kind, id string) error {
	switch t, _ := o.fields["type"].(string); t {
	case kind:
	case "":
		return o.wrong("type", "This must be \""+kind+"\".")
	default:
		return errTypeMismatch.at(child(o.at, "type"))
	}
	given, _ := o.fields["id"].(string)
	switch {
	case id == "" && o.has("id"):
		return errClientID
	case id != "" && given == "":
		return o.wrong("id", "This must be the id of the resource.")
	case !strings.EqualFold(given, id): // UUIDs are read in any case (RFC 9562 §4)
		return errTypeMismatch.at(child(o.at, "id"))
	}
	return nil
}

// meta returns the meta object of an action's document; an empty one when there is
// no body.
func (c *call) meta(names ...string) (object, error) {
	if !hasBody(c.r) {
		return object{at: "/meta"}, nil
	}
	body, err := readBody(c.r)
	if err != nil {
		return object{}, err
	}
	if err := body.only("meta", "jsonapi"); err != nil {
		return object{}, err
	}
	meta, err := body.object("meta")
	if err != nil {
		return object{}, err
	}
	return meta, meta.only(names...)
}

// noBody refuses a body where none is read.
func (c *call) noBody() error {
	if hasBody(c.r) {
		return errBody
	}
	return nil
}
