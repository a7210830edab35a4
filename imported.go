package apikeys

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeys-platform/apikeys/internal/foreign"
	"github.com/apikeys-platform/apikeys/internal/token"
)

// ImportScheme says how another system made the texts of its keys and what it kept
// of them. Its name is part of what is stored of an imported key.
type ImportScheme string

// The schemes whose keys can be imported, and go on working, without being issued
// anew. In each, what was kept is a digest of 32 bytes.
const (
	// ImportPythonSDK is that of the Python SDK apikeys-platform 0.2: a prefix
	// ("sk_", "myapp_live_") and 43 characters of base64url. Kept: HMAC-SHA256 under
	// that SDK's signing secret.
	ImportPythonSDK ImportScheme = "python-sdk"
	// ImportPythonSDK01 is that of version 0.1: the same texts. Kept: SHA-256.
	ImportPythonSDK01 ImportScheme = "python-sdk-0.1"
	// ImportBetterAuth is that of better-auth's API keys: a prefix and letters.
	// Kept: SHA-256.
	ImportBetterAuth ImportScheme = "better-auth"
	// ImportSanctum is that of Laravel Sanctum: "id|token", where id is the row's and
	// token a prefix and 40 letters and digits, with a checksum in newer versions.
	// Kept: SHA-256 of the token. Texts without "id|" are not accepted.
	ImportSanctum ImportScheme = "sanctum"
	// ImportSHA256 is for other systems that kept SHA-256 of the whole text: a prefix
	// and a fixed number of characters, which must have been drawn at random.
	ImportSHA256 ImportScheme = "sha256"
)

// ImportedKeys says how imported keys of one scheme are recognised when they are
// presented; see Config.Imported.
//
// They carry no tag. What has the right shape is looked up in the store, made up or
// not: limit failures by address (httpmw.Options.FailureLimit), and rotate imported
// keys, which gives them texts of this library.
type ImportedKeys struct {
	Scheme ImportScheme
	// Secret is what the other system signed with; of ImportPythonSDK only, and
	// required there. Nothing is asked of its strength: the keys were issued.
	Secret Secret
	// Prefixes are what texts begin with, exactly, with whatever separates it from
	// the rest: "sk_". Nil means "sk_" for the Python SDK and none for better-auth
	// and Sanctum, where it goes before the token. It is required for ImportSHA256.
	Prefixes []string
	// Length is how many characters follow the prefix: 64 for better-auth if it is 0,
	// required for ImportSHA256, and not to be set for the others.
	Length int
}

// spec returns what the scheme is with the defaults filled in.
func (k ImportedKeys) spec() (spec foreign.Spec, known bool) {
	spec = foreign.Spec{Name: string(k.Scheme), Prefixes: k.Prefixes, Length: k.Length}
	if !k.Secret.IsZero() {
		spec.Secret = k.Secret.bytes()
	}
	prefix := ""
	switch k.Scheme {
	case ImportPythonSDK:
		spec.Kind, prefix = foreign.HMAC, "sk_"
	case ImportPythonSDK01:
		spec.Kind, prefix = foreign.Token, "sk_"
	case ImportBetterAuth:
		spec.Kind = foreign.Letters
		if spec.Length == 0 {
			spec.Length = 64
		}
	case ImportSanctum:
		spec.Kind = foreign.Numbered
	case ImportSHA256:
		spec.Kind = foreign.Plain
		return spec, true
	default:
		return spec, false
	}
	if spec.Prefixes == nil {
		spec.Prefixes = []string{prefix}
	}
	return spec, true
}

// importedSchemes returns the schemes of Config.Imported. Texts that could be keys of
// our own are refused: they would be taken for forged ones.
func (config Config) importedSchemes(heads []string) ([]*foreign.Scheme, error) {
	var schemes []*foreign.Scheme
	for i, keys := range config.Imported {
		field := fmt.Sprintf("Imported[%d]", i)
		spec, known := keys.spec()
		if !known {
			return nil, invalid(field+".Scheme", "%s is none of the schemes that keys can be imported from: take one of the constants, such as ImportSHA256, which is \"sha256\"", quoteClipped(string(keys.Scheme)))
		}
		scheme, err := foreign.New(spec)
		var fault *foreign.SpecError
		if errors.As(err, &fault) {
			return nil, invalid(field+"."+fault.Field, "%s", fault.Reason)
		}
		for _, head := range heads {
			if scheme.CanBe(head+"_", token.SuffixLen) {
				return nil, invalid(field+".Prefixes", "makes texts that look like keys of this client's own, which begin with %s_", head)
			}
		}
		schemes = append(schemes, scheme)
	}
	return schemes, nil
}

// importedForms returns what a text may be known by if its key was imported.
func (c *core) importedForms(text string) (forms []string) {
	for _, scheme := range c.imported {
		if form, ok := scheme.Form(text); ok {
			forms = append(forms, form)
		}
	}
	return forms
}

// recallImported finds the imported key that a text belongs to, as recall does.
func (c *core) recallImported(ctx context.Context, text string, m *moment) (*known, error) {
	forms := c.importedForms(text)
	for _, form := range forms {
		var hash Hash
		m.lane = c.signer.SumInto((*[32]byte)(&hash), form)
		if k := c.remembered(&hash, m); k != nil {
			return k, nil
		}
	}
	for _, form := range forms {
		k, err := c.load(ctx, form, c.signer.Sum(form), m)
		if !errors.Is(err, ErrInvalidKey) {
			return k, err
		}
	}
	return nil, ErrInvalidKey
}
