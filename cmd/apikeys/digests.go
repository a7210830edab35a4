package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/apikeys-platform/apikeys"
)

// readDigests reads all lines before anything is imported.
func (a *app) readDigests(ctx context.Context, c *apikeys.Client) ([]apikeys.ImportKey, error) {
	d := json.NewDecoder(a.stdin)
	d.UseNumber()
	d.DisallowUnknownFields()
	var keys []apikeys.ImportKey
	known := map[target]found{}
	for n := 1; ; n++ {
		var line digestLine
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, usagef("standard input, object %d: %s", n, err)
		}
		key, err := line.key(ctx, c, known)
		if err != nil {
			return nil, usagef("standard input, object %d: %s", n, message(err))
		}
		keys = append(keys, key)
	}
}

// key is what the library takes of a line. Tenants that were found are known.
func (line digestLine) key(ctx context.Context, c *apikeys.Client, known map[target]found) (apikeys.ImportKey, error) {
	at := target{line.Organization, line.Project, line.Product}
	ids, ok := known[at]
	if !ok {
		var err error
		if ids, err = at.find(ctx, c); err != nil {
			return apikeys.ImportKey{}, err
		}
		known[at] = ids
	}
	digest, err := apikeys.ParseDigest(line.Digest)
	if err != nil {
		return apikeys.ImportKey{}, err
	}
	limits, err := metadataFlags{rates: line.RateLimits}.limits()
	return apikeys.ImportKey{
		Scheme: line.Scheme, Digest: digest, ForeignID: line.ID,
		OrganizationID: ids.org, ProjectID: ids.project, ProductID: ids.product, OwnerID: line.OwnerID, Hint: line.Hint,
		Metadata: apikeys.KeyMetadata{
			Name: line.Name, Scopes: line.Scopes, RateLimits: limits, ExpiresAt: line.ExpiresAt, Custom: line.Custom,
		},
		CreatedAt: line.CreatedAt, LastUsedAt: line.LastUsedAt, UseCount: line.UseCount,
		RevokedAt: line.RevokedAt, RevokedReason: line.RevokedReason, DisabledAt: line.DisabledAt,
	}, err
}
