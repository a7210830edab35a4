package mysql

import "github.com/apikeys-platform/apikeys/internal/sqlstore"

func statements() *sqlstore.Statements {
	return &sqlstore.Statements{

		Settings: settings, InsertSettings: insertSettings, UpdateSettings: updateSettings,

		State: state, ChangesSince: changesSince,
		RaiseRevision: raiseRevision, InsertChange: insertChange, InsertKeyChanges: insertKeyChanges,

		Event: event, InsertEvent: insertEvent, BlankEvents: blankEvents,
		EventsByID: eventsByID, EventsBySubject: eventsBySubject, EventsByOrganization: eventsByOrganization, EventsAll: eventsAll,

		LockResource: lockResource, ShareResources: shareResources,
		InsertResource: insertResource, UpdateResource: updateResource,
		DeleteResource: deleteResource, DeleteOrganization: deleteOrganization,
		KeyOfOrganization: keyOfOrganization, KeyOfProject: keyOfProject, KeyOfProduct: keyOfProduct,
		ResourceByID: resourceByID, ResourcesByName: resourcesByName, ResourcesByLink: resourcesByLink,
		ResourcesByOrganization: resourcesByOrganization, ResourcesByKind: resourcesByKind,

		InsertLink: insertLink, DeleteLink: deleteLink, DeleteLinksOfProject: deleteLinksOfProject,
		DeleteLinksOfProduct: deleteLinksOfProduct, DeleteLinksOrganization: deleteLinksOrganization, Binding: binding,

		InsertKey: insertKey, InsertSecret: insertSecret, InsertUsage: insertUsage, DeleteKey: deleteKey,
		KeyStanding: keyStanding, Key: key, KeyAndSecrets: keyAndSecrets, LockKey: lockKey, UpdateKey: updateKey,
		KeyByHash: keyByHash, KeysByHashes: keysByHashes,
		KeysByID: keysByID, KeysByOwner: keysByOwner, KeysByProject: keysByProject, KeysByProduct: keysByProduct,
		KeysByOrganization: keysByOrganization, KeysAll: keysAll, KeysRevoked: keysRevoked, KeysExpired: keysExpired, KeysExpiring: keysExpiring, KeysExpiringOf: keysExpiringOf,
		LockKeys: lockKeys, RevokeKeys: revokeKeys, DeleteKeys: deleteKeys,
		DeleteKeySecrets: deleteKeySecrets, DeleteKeyUsage: deleteKeyUsage, DeleteKeyHours: deleteKeyHours,

		Secrets: secrets, EndSecret: endSecret, EndOlder: endOlder, CountHashes: countHashes, DeleteHashes: deleteHashes,

		Now: clock, Windows: windows, LockWindows: lockWindows,
		InsertWindow: insertWindow, UpdateWindow: updateWindow, ReturnWindow: returnWindow,

		UpdateWriter: updateWriter, InsertWriter: insertWriter, AddUsage: addUsage, AddHour: addHour, KeyHours: keyHours,

		LogUses: logUses, FirstLogged: firstLogged, LockFirstLogged: lockFirstLogged, Logged: logged, DeleteLogged: deleteLogged,

		SweepWindows: sweepWindows, SweepEvents: sweepEvents, SweepHours: sweepHours, SweepWriters: sweepWriters,
		OldChanges: oldChanges, DeleteChanges: deleteChanges,
	}
}
