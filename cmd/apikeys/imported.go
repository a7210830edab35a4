package main

import (
	"strconv"
	"strings"

	"github.com/apikeys-platform/apikeys"
)

// Where the imported keys come from, if there are some.
const (
	envImported       = "APIKEYS_IMPORTED"
	envImportSecret   = "APIKEYS_IMPORT_SECRET"
	envImportDatabase = "APIKEYS_IMPORT_DATABASE_URL"
)

// imported reads how imported keys are recognised: schemes separated by spaces, each
// with the prefixes and the length of its keys: python-sdk=sk_,app_live_ sha256=tok_/40.
func (a *app) imported() ([]apikeys.ImportedKeys, error) {
	var list []apikeys.ImportedKeys
	for _, text := range strings.Fields(a.setting(a.flags.imported, envImported)) {
		rest, length, sized := strings.Cut(text, "/")
		scheme, prefixes, prefixed := strings.Cut(rest, "=")
		k := apikeys.ImportedKeys{Scheme: apikeys.ImportScheme(scheme)}
		if prefixed {
			k.Prefixes = strings.Split(prefixes, ",")
		}
		if sized {
			n, err := strconv.Atoi(length)
			if err != nil {
				return nil, usagef("--imported: the length of the keys is not a number; write SCHEME=PREFIX,PREFIX/LENGTH")
			}
			k.Length = n
		}
		if k.Scheme == apikeys.ImportPythonSDK {
			secret, err := a.hidden(envImportSecret, "")
			if err != nil {
				return nil, err
			}
			if secret == "" {
				return nil, usagef("the signing secret of the Python SDK is missing: set %s, or %s_FILE to the file that holds it",
					envImportSecret, envImportSecret)
			}
			k.Secret = apikeys.NewSecret(secret)
		}
		list = append(list, k)
	}
	return list, nil
}
