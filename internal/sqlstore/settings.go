package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/apikeys-platform/apikeys"
)

// settingsDocument is how settings are stored.
type settingsDocument struct {
	ShieldKeys [][]byte         `json:"shield_keys"`
	Canaries   []canaryDocument `json:"canaries"`
	Retired    []string         `json:"retired,omitempty"`
}

type canaryDocument struct {
	SigningID string `json:"signing_id"`
	MAC       []byte `json:"mac"`
}

// EnsureSettings implements [apikeys.Store]. What it returns was read by a new
// statement after the write: of many that were first, all read the same.
func (s *Store) EnsureSettings(ctx context.Context, proposed apikeys.SettingsRecord) (apikeys.SettingsRecord, error) {
	standing, err := s.settings(ctx)
	if err != nil || proposed.Version != standing.Version+1 && (standing.Version != 0 || proposed.Version < 1) {
		return standing, err
	}
	err = s.transact(ctx, TxOptions{}, func(tx Tx) error {
		if standing.Version == 0 {
			_, err := insert(ctx, tx, s.st.InsertSettings, proposed.Version, s.dialect.JSON(encodeSettings(proposed)))
			return err
		}
		return s.replaceSettings(ctx, tx, proposed)
	})
	if err != nil {
		return apikeys.SettingsRecord{}, err
	}
	return s.settings(ctx)
}

func (s *Store) replaceSettings(ctx context.Context, tx Tx, proposed apikeys.SettingsRecord) error {
	replaced, err := tx.Exec(ctx, s.st.UpdateSettings, proposed.Version, s.dialect.JSON(encodeSettings(proposed)), proposed.Version-1)
	if err != nil {
		return err
	}
	if replaced == 0 {
		return errNothing // another proposal of this version has won
	}
	return s.bumpAll(ctx, tx)
}

// settings returns what stands; version 0 when nothing does.
func (s *Store) settings(ctx context.Context) (standing apikeys.SettingsRecord, err error) {
	err = s.read(ctx, func(c Conn) (err error) {
		standing, _, err = first(ctx, c, s.scanSettings, s.st.Settings)
		return err
	})
	return standing, err
}

func (s *Store) scanSettings(scan row) (apikeys.SettingsRecord, error) {
	var r apikeys.SettingsRecord
	var text []byte
	if err := scan(&r.Version, s.dialect.ScanJSON(&text)); err != nil {
		return r, err
	}
	var doc settingsDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return r, errBadColumn("document")
	}
	r.ShieldKeys, r.Retired = doc.ShieldKeys, doc.Retired
	for _, c := range doc.Canaries {
		r.Canaries = append(r.Canaries, apikeys.Canary(c))
	}
	return r, nil
}

func encodeSettings(r apikeys.SettingsRecord) json.RawMessage {
	doc := settingsDocument{ShieldKeys: r.ShieldKeys, Retired: r.Retired}
	for _, c := range r.Canaries {
		doc.Canaries = append(doc.Canaries, canaryDocument(c))
	}
	text, _ := json.Marshal(doc) // texts and bytes: cannot fail
	return text
}
