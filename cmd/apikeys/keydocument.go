package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/apikeys-platform/apikeys"
)

// keyDocument is a key as programs read it. The names are part of the interface:
// add to them, do not change them.
type keyDocument struct {
	ID             string            `json:"id"`
	OrganizationID string            `json:"organization_id"`
	ProjectID      *string           `json:"project_id"`
	ProductID      *string           `json:"product_id"`
	OwnerID        string            `json:"owner_id"`
	Name           string            `json:"name"`
	Hint           string            `json:"hint"`
	Key            string            `json:"key,omitempty"` // its text: from create and rotate alone
	Environment    string            `json:"environment"`
	Status         apikeys.KeyStatus `json:"status"`
	Scopes         []string          `json:"scopes"`
	RateLimits     []string          `json:"rate_limits"`
	Custom         map[string]any    `json:"custom"`
	ExpiresAt      *time.Time        `json:"expires_at"`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	LastUsedAt     *time.Time        `json:"last_used_at"`
	DisabledAt     *time.Time        `json:"disabled_at"`
	RevokedAt      *time.Time        `json:"revoked_at"`
	RevokedReason  string            `json:"revoked_reason"`
	UseCount       int64             `json:"use_count"`
	Version        int64             `json:"version"`
}

func (a *app) keyDocument(k *apikeys.Key) keyDocument {
	custom := k.Metadata.Custom
	if custom == nil {
		custom = map[string]any{}
	}
	return keyDocument{
		ID: k.ID.String(), OrganizationID: k.OrganizationID.String(), ProjectID: idOrNull(k.ProjectID), ProductID: idOrNull(k.ProductID),
		OwnerID: k.OwnerID, Name: k.Metadata.Name, Hint: k.Hint, Environment: k.Environment, Status: k.Status(a.clock()),
		Scopes: orEmpty(k.Metadata.Scopes), RateLimits: limitTexts(k.Metadata.RateLimits), Custom: custom,
		ExpiresAt: timeOrNull(k.Metadata.ExpiresAt), CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
		LastUsedAt: timeOrNull(k.LastUsedAt), DisabledAt: timeOrNull(k.DisabledAt),
		RevokedAt: timeOrNull(k.RevokedAt), RevokedReason: k.RevokedReason, UseCount: k.UseCount, Version: k.Version,
	}
}

func limitTexts(limits []apikeys.RateLimit) []string {
	return mapped(limits, func(l *apikeys.RateLimit) string { return l.String() })
}

// keyRows are keys in a list.
func (a *app) keyRows(t *table, keys []apikeys.Key) {
	t.row("ID", "HINT", "NAME", "OWNER", "STATUS", "SCOPES", "EXPIRES", "LAST USED", "USES")
	for i := range keys {
		k := &keys[i]
		t.row(k.ID.String(), k.Hint, k.Metadata.Name, k.OwnerID, string(k.Status(a.clock())), strings.Join(k.Metadata.Scopes, " "),
			timeText(k.Metadata.ExpiresAt), timeText(k.LastUsedAt), strconv.FormatInt(k.UseCount, 10))
	}
}

// keyFacts is all about one key.
func (a *app) keyFacts(t *table, k *apikeys.Key) {
	t.fact("Key", k.ID.String())
	t.fact("Hint", k.Hint)
	t.fact("Name", k.Metadata.Name)
	t.fact("Status", a.statusText(k))
	t.fact("Organization", k.OrganizationID.String())
	t.fact("Project", orText(idText(k.ProjectID), "any"))
	t.fact("Product", orText(idText(k.ProductID), "any"))
	t.fact("Owner", k.OwnerID)
	t.fact("Environment", k.Environment)
	t.fact("Scopes", orText(strings.Join(k.Metadata.Scopes, " "), "none"))
	t.fact("Rate limits", orText(strings.Join(limitTexts(k.Metadata.RateLimits), ", "), "none"))
	t.fact("Custom", customText(k.Metadata.Custom))
	t.fact("Created", timeText(k.CreatedAt))
	t.fact("Changed", timeText(k.UpdatedAt))
	t.fact("Expires", orText(timeText(k.Metadata.ExpiresAt), "never"))
	t.fact("Last used", orText(timeText(k.LastUsedAt), "never"))
	t.fact("Uses", strconv.FormatInt(k.UseCount, 10))
	t.fact("Version", strconv.FormatInt(k.Version, 10))
}

// statusText is what the key is, since when, and why.
func (a *app) statusText(k *apikeys.Key) string {
	status := k.Status(a.clock())
	switch status {
	case apikeys.StatusRevoked:
		text := "revoked since " + timeText(k.RevokedAt)
		if k.RevokedReason != "" {
			text += ": " + k.RevokedReason
		}
		return text
	case apikeys.StatusExpired:
		return "expired since " + timeText(k.Metadata.ExpiresAt)
	case apikeys.StatusDisabled:
		return "disabled since " + timeText(k.DisabledAt)
	}
	return string(status)
}

func customText(custom map[string]any) string {
	if len(custom) == 0 {
		return ""
	}
	text, _ := json.Marshal(custom) // came from JSON
	return string(text)
}
