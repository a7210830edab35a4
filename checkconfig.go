package apikeys

import "context"

// CheckConfig tells whether [New] would accept the store and the configuration, and
// changes nothing: for a deployment that asks before it replaces what runs, and for
// people who look for what is wrong. Its errors are those of New. On a database
// that no client has used yet, every good secret is right.
//
// A signing secret that is new to the database passes beside an accepted one that
// belongs to it, as in New.
func CheckConfig(ctx context.Context, store Store, config Config) error {
	c, err := newCore(store, config)
	if err != nil {
		return err
	}
	standing, err := c.ensureSettings(ctx, SettingsRecord{}) // proposes nothing
	if err != nil || standing.Version == 0 {
		return err
	}
	if err := c.unfit(standing); err != nil {
		return secretError(err)
	}
	return c.useShieldKeys(standing.ShieldKeys)
}
