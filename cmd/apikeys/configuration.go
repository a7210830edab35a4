package main

import (
	"net/url"
	"os"
	"strings"

	"github.com/apikeys-platform/apikeys"
)

// The environment variables. NAME_FILE names a file that holds the value of NAME.
const (
	envDatabase    = "APIKEYS_DATABASE_URL"
	envSecret      = "APIKEYS_SECRET"
	envAccepted    = "APIKEYS_ACCEPTED_SECRETS"
	envPrefix      = "APIKEYS_PREFIX"
	envEnvironment = "APIKEYS_ENVIRONMENT"
	envHeads       = "APIKEYS_ACCEPTED_HEADS"
	envActor       = "APIKEYS_ACTOR"
)

// databaseURL returns the URL of the database: of a flag, or of the environment.
func (a *app) databaseURL() (string, error) {
	if a.flags.database != "" && a.flags.databaseFile != "" {
		return "", usagef("--database and --database-file: give one of them")
	}
	if url := a.flags.database; url != "" {
		if hasPassword(url) {
			return "", usagef("--database: holds a password, which everybody on this machine can read in the list of processes; "+
				"put the URL into %s or into a file (--database-file)", envDatabase)
		}
		return url, nil
	}
	url, err := a.hidden(envDatabase, a.flags.databaseFile)
	if err != nil {
		return "", err
	}
	if url == "" {
		return "", usagef("which database? Set %s to its URL: sqlite:///app.db, postgres://user:password@host/app, "+
			"mysql://… or mariadb://…", envDatabase)
	}
	return strings.TrimSpace(url), nil
}

// hasPassword tells whether a database URL carries one, however badly it is written.
func hasPassword(databaseURL string) bool {
	_, rest, _ := strings.Cut(databaseURL, "://")
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 && strings.Contains(rest[:at], ":") {
		return true
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return true // nobody can tell
	}
	for name := range values {
		if name = strings.ToLower(name); strings.Contains(name, "password") || strings.Contains(name, "passwd") {
			return true
		}
	}
	return false
}

// hidden returns what must not be an argument: the contents of file, if it is named;
// else the environment variable, or the contents of the file that NAME_FILE names.
// Empty if there is none.
func (a *app) hidden(name, file string) (string, error) {
	if file != "" {
		return readFile(file)
	}
	value, file := a.getenv(name), a.getenv(name+"_FILE")
	if value != "" && file != "" {
		return "", usagef("%s and %s_FILE are both set: unset one of them", name, name)
	}
	if file != "" {
		return readFile(file)
	}
	return value, nil
}

// readFile returns what is in a file, without one newline at the end.
func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", &usageError{err}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", usagef("%s is empty", path)
	}
	return text, nil
}

// config is the client's configuration. Nothing is remembered and nothing runs in the
// background: the program ends soon.
func (a *app) config() (apikeys.Config, error) {
	secret, err := a.hidden(envSecret, a.flags.secretFile)
	if err != nil {
		return apikeys.Config{}, err
	}
	if secret == "" {
		return apikeys.Config{}, usagef("the signing secret is missing: set %s to the one that your service has, or name the file "+
			"that holds it (%s_FILE, --secret-file); for a new installation make one with: openssl rand -hex 32", envSecret, envSecret)
	}
	accepted, err := a.hidden(envAccepted, a.flags.acceptedFile)
	if err != nil {
		return apikeys.Config{}, err
	}
	imported, err := a.imported()
	if err != nil {
		return apikeys.Config{}, err
	}
	config := apikeys.Config{
		SigningSecret:      apikeys.NewSecret(secret),
		KeyPrefix:          a.setting(a.flags.prefix, envPrefix),
		Environment:        a.setting(a.flags.environment, envEnvironment),
		AcceptedHeads:      a.flags.acceptedHeads,
		Imported:           imported,
		CacheSize:          -1,
		RevocationDelay:    -1,
		UsageFlushInterval: -1,
		SweepInterval:      -1, // the service knows how long it keeps what
		OpTimeout:          a.flags.timeout,
		Now:                a.now,
	}
	for line := range strings.Lines(accepted) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			config.AcceptedSecrets = append(config.AcceptedSecrets, apikeys.NewSecret(line))
		}
	}
	if len(config.AcceptedHeads) == 0 {
		config.AcceptedHeads = strings.FieldsFunc(a.getenv(envHeads), func(r rune) bool { return r == ',' || r == ' ' })
	}
	return config, nil
}

// setting is a flag, or the environment variable behind it.
func (a *app) setting(flag, name string) string {
	if flag != "" {
		return flag
	}
	return a.getenv(name)
}
