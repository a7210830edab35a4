package httpapi

import (
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// keyAttributes is a key as documents show it.
type keyAttributes struct {
	Name          string            `json:"name"`
	Hint          string            `json:"hint"`
	Key           string            `json:"key,omitempty"` // its text: in the answer that issues it, never again
	Environment   string            `json:"environment"`
	Status        apikeys.KeyStatus `json:"status"`
	Scopes        []string          `json:"scopes"`
	RateLimits    []string          `json:"rate_limits"`
	Custom        map[string]any    `json:"custom"`
	ExpiresAt     *time.Time        `json:"expires_at"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
	LastUsedAt    *time.Time        `json:"last_used_at"`
	DisabledAt    *time.Time        `json:"disabled_at"`
	RevokedAt     *time.Time        `json:"revoked_at"`
	RevokedReason string            `json:"revoked_reason"`
	UseCount      int64             `json:"use_count"`
	Version       int64             `json:"version"`
}

// The attributes that a request may set.
var keySettable = []string{"name", "scopes", "rate_limits", "expires_at", "custom"}

func (a *api) keyResource(k *apikeys.Key) *resource {
	id := k.ID.String()
	return &resource{
		identifier: identifier{typeKeys, id},
		Attributes: keyAttributes{
			Name: k.Metadata.Name, Hint: k.Hint, Environment: k.Environment, Status: k.Status(a.opts.Now()),
			Scopes: append([]string{}, k.Metadata.Scopes...), RateLimits: limitTexts(k.Metadata.RateLimits),
			Custom: orEmpty(k.Metadata.Custom), ExpiresAt: timeOrNull(k.Metadata.ExpiresAt),
			CreatedAt: k.CreatedAt.UTC(), UpdatedAt: k.UpdatedAt.UTC(), LastUsedAt: timeOrNull(k.LastUsedAt),
			DisabledAt: timeOrNull(k.DisabledAt), RevokedAt: timeOrNull(k.RevokedAt), RevokedReason: k.RevokedReason,
			UseCount: k.UseCount, Version: k.Version,
		},
		Relationships: map[string]relationship{
			"organization": to(typeOrganizations, idText(k.OrganizationID)),
			"project":      to(typeProjects, idText(k.ProjectID)),
			"product":      to(typeProducts, idText(k.ProductID)),
			"user":         to(typeUsers, k.OwnerID),
		},
		Links: links{Self: a.self(typeKeys, id)},
	}
}

// issued answers with a key and, this once, its text.
func (a *api) issued(k *apikeys.IssuedKey) answer {
	r := a.keyResource(&k.Key)
	attributes, _ := r.Attributes.(keyAttributes)
	attributes.Key = k.Plaintext.Reveal()
	r.Attributes = attributes
	return answer{status: 201, location: r.Links.Self, doc: &document{Data: r}}
}

func limitTexts(limits []apikeys.RateLimit) []string {
	texts := make([]string, len(limits))
	for i, l := range limits {
		texts[i] = l.String()
	}
	return texts
}

func orEmpty(custom map[string]any) map[string]any {
	if custom == nil {
		return map[string]any{}
	}
	return custom
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// keyParams reads what key a document asks for.
func keyParams(data object) (apikeys.CreateKeyParams, error) {
	var params apikeys.CreateKeyParams
	attributes, err := data.object("attributes")
	if err != nil {
		return params, err
	}
	if err := attributes.only(keySettable...); err != nil {
		return params, err
	}
	patch, err := keyPatch(attributes)
	if err != nil {
		return params, err
	}
	patched(&params.Metadata, patch)
	err = readBinding(data, &params)
	return params, err
}

// readBinding reads what a new key is to be bound to.
func readBinding(data object, params *apikeys.CreateKeyParams) error {
	rels, err := data.object("relationships")
	if err != nil {
		return err
	}
	if err := rels.only("organization", "project", "product", "user"); err != nil {
		return err
	}
	if params.OrganizationID, err = rels.relationID("organization", typeOrganizations); err != nil {
		return err
	}
	if params.ProjectID, err = rels.relationID("project", typeProjects); err != nil {
		return err
	}
	if params.ProductID, err = rels.relationID("product", typeProducts); err != nil {
		return err
	}
	params.OwnerID, err = rels.relation("user", typeUsers)
	return err
}

// keyPatch reads the attributes that a request sets. Absent leaves a field as it is;
// [] and {} empty it; null is refused, but for expires_at, where it means never.
func keyPatch(attributes object) (p apikeys.KeyPatch, err error) {
	if p.Name, err = attributes.text("name"); err != nil {
		return p, err
	}
	if p.Scopes, err = attributes.texts("scopes"); err != nil {
		return p, err
	}
	if p.RateLimits, err = attributes.limits("rate_limits"); err != nil {
		return p, err
	}
	if p.ExpiresAt, err = attributes.time("expires_at"); err != nil {
		return p, err
	}
	p.Custom, err = attributes.custom("custom")
	return p, err
}

// patched applies to metadata what the patch sets.
func patched(m *apikeys.KeyMetadata, p apikeys.KeyPatch) {
	set(&m.Name, p.Name)
	set(&m.Scopes, p.Scopes)
	set(&m.RateLimits, p.RateLimits)
	set(&m.ExpiresAt, p.ExpiresAt)
	set(&m.Custom, p.Custom)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
