package main

const (
	root     = "."
	sqlite   = "./store/sqlite"
	sqlstore = "./internal/sqlstore"

	clienttest = "./internal/clienttest"
	faulttest  = "./internal/faulttest"
)

// mutants are the planted bugs.
var mutants = []mutant{
	{
		name: "tenant condition dropped from keys", file: "store/sqlite/queries.go",
		old: "AND (? = 0 OR k.organization_id = ?) AND (? = '' OR k.owner_id = ?)", new: "AND (? = 0 OR ? IS NOT NULL) AND (? = '' OR k.owner_id = ?)",
		tests: []string{sqlite},
	},
	{
		name: "owner condition dropped from keys", file: "store/sqlite/queries.go",
		old: "AND (? = 0 OR k.organization_id = ?) AND (? = '' OR k.owner_id = ?)", new: "AND (? = 0 OR k.organization_id = ?) AND (? = '' OR ? <> '')",
		tests: []string{sqlite},
	},
	{
		name: "expired one instant too late", file: "validate.go",
		old: "!k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)", new: "!k.ExpiresAt.IsZero() && now.After(k.ExpiresAt)",
		tests: []string{root},
	},
	{
		name: "replaced secret one instant too late", file: "validate.go",
		old: "!ends.IsZero() && !now.Before(ends)", new: "!ends.IsZero() && now.After(ends)",
		tests: []string{root},
	},
	{
		name: "tag not checked", file: "cache.go",
		old: "if !c.shared.Load().tagger.Check(text) {", new: "if text == \"\" {",
		tests: []string{root},
	},
	{
		name: "stored hash not compared again", file: "validate.go",
		old: "subtle.ConstantTimeCompare(h[:], found[i].Secret.Hash[:]) == 1", new: "subtle.ConstantTimeCompare(h[:], h[:]) == 1",
		tests: []string{root},
	},
	{
		name: "limit charged before scopes are asked", file: "validate.go",
		old: "		if k.plain(m.now) && params.anywhere() {", new: "		_, _ = c.charge(ctx, &Validation{key: k}, 1, m.now)\n		if k.plain(m.now) && params.anywhere() {",
		tests: []string{root},
	},
	{
		name: "a key that was stopped or is bound is plain", file: "known.go",
		old: "	if stopped || r.ProjectID != uuid.Nil || r.ProductID != uuid.Nil {", new: "	if stopped && r.ProjectID != uuid.Nil && r.ProductID != uuid.Nil {",
		tests: []string{root},
	},
	{
		name: "a refusal stands for less, too", file: "limit.go",
		old: "	return cost >= f.cost && uint64", new: "	return uint64",
		tests: []string{root},
	},
	{
		name: "another organization's project passes", file: "validate.go",
		old: "project != uuid.Nil && b.ProjectOrganizationID != k.OrganizationID", new: "project != uuid.Nil && b.ProjectOrganizationID == uuid.Nil",
		tests: []string{root},
	},
	{
		name: "links do not matter", file: "validate.go",
		old: "project != uuid.Nil && product != uuid.Nil && !b.Linked", new: "project != uuid.Nil && product != uuid.Nil && !b.Linked && !k.Linked && false",
		tests: []string{root},
	},
	{
		name: "an imported key looked up under the signing secret alone", file: "import.go",
		old: "range im.hashes(rows[i].form, rows[i].record.Secret.Hash)", new: "range []Hash{rows[i].record.Secret.Hash}",
		tests: []string{root},
	},
	{
		name: "the id of a numbered key does not count", file: "internal/foreign/foreign.go",
		old: "	if !s.NeedsID() {\n		id = \"\"", new: "	if id = \"\"; !s.NeedsID() {\n		id = \"\"",
		tests: []string{root, "./internal/foreign"},
	},
	{
		name: "the scheme of an imported key does not count", file: "internal/foreign/foreign.go",
		old: "\\x00imported\\x00\" + s.name + ", new: "\\x00imported\\x00\" + ",
		tests: []string{root, "./internal/foreign"},
	},
	{
		name: "grants do not bound imports", file: "import.go",
		old: "	return im.checkGrants(r)\n", new: "	return nil\n",
		tests: []string{root},
	},
	{
		name: "a grant checked before the change alone", file: "grant.go",
		old: "		if err := after(&record); err != nil {\n			return err\n		}\n", new: "",
		tests: []string{root},
	},
	{
		name: "a grant checked for another version than is written", file: "grant.go",
		old: "		if err := write(version); ifVersion", new: "		if err := write(min(version, ifVersion)); ifVersion",
		tests: []string{root},
	},
	{
		name: "a key needs no end though the grant has one", file: "grant.go",
		old: "!k.ExpiresAt.IsZero() && !k.ExpiresAt.After", new: "!k.ExpiresAt.After",
		tests: []string{root},
	},
	{
		name: "a view's key check dropped", file: "validate.go",
		old: "	if c.view && !c.inView(k.KeyRecord) {\n		return nil, ErrInvalidKey\n	}\n	return k, nil", new: "	return k, nil",
		tests: []string{root},
	},
	{
		name: "an empty view sees everything", file: "client.go",
		old: "c.view && c.scope.OrganizationID == uuid.Nil {", new: "c.view && c.scope.OrganizationID == uuid.Max {",
		tests: []string{root},
	},
	{
		name: "a view of a view widens", file: "client.go",
		old: "c.view && scope.OrganizationID != c.scope.OrganizationID", new: "c.view && scope.OrganizationID == uuid.Nil",
		tests: []string{root},
	},
	{
		name: "the first revocation does not stand", file: "records.go",
		old: "c.Revoke != nil && k.RevokedAt.IsZero()", new: "c.Revoke != nil",
		tests: []string{sqlite},
	},
	{
		name: "a store fault is an invalid key", file: "cache.go",
		old: "	found, err := c.keysByHash(ctx, lookup{text: text, signed: hash})\n	if err != nil {\n		return nil, err\n	}\n	record := match", new: "	found, err := c.keysByHash(ctx, lookup{text: text, signed: hash})\n	if err != nil {\n		return nil, ErrInvalidKey\n	}\n	record := match",
		tests: []string{root},
	},
	{
		name: "a wrong signing secret is registered", file: "settings.go",
		old: "		case !c.acceptsOneOf(standing.Canaries):", new: "		case len(standing.Canaries) == 0:",
		tests: []string{root},
	},
	{
		name: "a retired signing secret comes back", file: "settings.go",
		old: "		case standing.retired(c.signer.ID()):\n			return nil, nil\n", new: "",
		tests: []string{clienttest},
	},
	{
		name: "keys are issued under a retired secret", file: "settings.go",
		old: "	if c.retired.Load() {\n		return &unavail", new: "	if op == \"\" {\n		return &unavail",
		tests: []string{clienttest},
	},
	{
		name: "a secret in its overlap is lost with a signing secret", file: "store/sqlite/queries.go",
		old: "WHERE o.key_id = s.key_id AND o.number = s.number AND o.signing_id <> s.signing_id", new: "WHERE o.key_id = s.key_id AND o.signing_id <> s.signing_id",
		tests: []string{sqlite, clienttest},
	},
	{
		name: "refusals are counted as uses", file: "usage.go",
		old: "		k.counter.Refuse(refusalCodes[i], now)\n", new: "		k.counter.Accept(now)\n",
		tests: []string{root},
	},
	{
		name: "cursors are not bound to their list", file: "settings.go",
		old: "	h.Write([]byte(list))\n", new: "	_ = list\n",
		tests: []string{root},
	},
	{
		name: "limits are charged one by one", file: "internal/sqlstore/grant.go",
		old: "if r.AllOrNothing && short {", new: "if r.AllOrNothing && short && i < 0 {",
		tests: []string{root, sqlstore},
	},
	{
		name: "one more than the limit", file: "internal/sqlstore/grant.go",
		old: "min(part.Want, part.Limit.Requests-p.Used)", new: "min(part.Want, part.Limit.Requests-p.Used+1)",
		tests: []string{root, sqlstore},
	},
	{
		name: "a usage batch counts twice", file: "store/sqlite/queries.go",
		old: "AND seq < ?", new: "AND seq <= ?",
		tests: []string{sqlite},
	},
	{
		name: "the revision is not raised", file: "internal/sqlstore/mutate.go",
		old: "	if len(w.stale) == 0 {", new: "	if len(w.stale) >= 0 {",
		tests: []string{sqlite},
	},
	{
		name: "no event is written", file: "internal/sqlstore/mutate.go",
		old: "inserted, err := insert(ctx, w, s.st.InsertEvent, s.eventArgs(e)...)", new: "inserted, err := len(s.eventArgs(e)) > 0, error(nil)",
		tests: []string{sqlite},
	},
	{
		name: "an unknown outcome is repeated under a new id", file: "mutate.go",
		old: "			return write(call, m)", new: "			m.ID = newID(m.At)\n			return write(call, m)",
		tests: []string{root},
	},
	{
		name: "a change is not dropped from memory", file: "cache.go",
		old: "if c.memory == nil || len(stale) == 0 {", new: "if c.memory == nil || len(stale) >= 0 {",
		tests: []string{root},
	},
	{
		name: "a look tells of no changes", file: "cache.go",
		old: "		Changes:  cacheChanges(set.Changes),\n", new: "		Changes:  cacheChanges(nil),\n",
		tests: []string{root},
	},
	{
		name: "entry read before freshness", file: "internal/keycache/keycache.go",
		old: "	if !c.looks.Fresh(now) {\n		return nil\n	}\n	return c.table.get(now, hash)", new: "	e := c.table.get(now, hash)\n	if !c.looks.Fresh(now) {\n		return nil\n	}\n	return e",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "a load is stored after a drop", file: "internal/keycache/drops.go",
		old: "	if !c.drops.spare(t, e.Key, e.Organization) {", new: "	if c.drops.seq.Load() < t.seq {",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "a repetition of a retried creation is lost", file: "resources.go",
		old: "standing, created, err = c.store.CreateResource(ctx, m, r)", new: "r, created, err = c.store.CreateResource(ctx, m, r)\n		standing = r",
		tests: []string{root},
	},
	{
		name: "a failed transaction is not rolled back", file: "internal/sqlstore/retry.go",
		old: "\tdefer tx.Rollback() // nothing after a commit\n", new: "",
		tests: []string{sqlstore},
	},
	{
		name: "a lost commit is called undone", file: "internal/sqlstore/retry.go",
		old: "err != nil && sent && s.dialect.Classify(err) == Lost", new: "err != nil && !sent && s.dialect.Classify(err) == Lost",
		tests: []string{sqlstore},
	},
	{
		name: "the revision is locked first", file: "internal/sqlstore/mutate.go",
		old: "\tif err := body(w); err != nil {", new: "\tif err := exec(ctx, w, s.st.RaiseRevision, s.dialect.ID(w.m.ID))(); err != nil {\n\t\treturn err\n\t}\n\tif err := body(w); err != nil {",
		tests: []string{sqlite},
	},
	{
		name: "a silent store settles an unknown outcome", file: "mutate.go",
		old: "errors.As(err, &ours) && !errors.Is(err, ErrUnavailable)", new: "errors.As(err, &ours)",
		tests: []string{faulttest},
	},
	{
		name: "an unknown outcome is reported as done", file: "mutate.go",
		old: "\treturn &OutcomeUnknownError{Op: op.name(), ID: op.id, cause: err}", new: "\treturn nil",
		tests: []string{faulttest},
	},
	{
		name: "a late lease tops up a newer window", file: "internal/leases/flight.go",
		old: "g.old != nil && g.old.reset == reset.UnixMicro()", new: "g.old != nil",
		tests: []string{"./internal/leases"},
	},
	{
		name: "a batch of unknown outcome gets a new number", file: "internal/usage/flush.go",
		old: "\tcase unknown:\n\t\tf.doubt = true\n", new: "\tcase unknown:\n\t\tr.frozen = nil\n",
		tests: []string{"./internal/usage"},
	},
	{
		name: "an old secret outlives its overlap", file: "rotate.go",
		old: "OldEndsAt: now.Add(params.Overlap)", new: "OldEndsAt: now.Add(params.Overlap + time.Second)",
		tests: []string{root},
	},
	{
		name: "keys of a suspended organization pass", file: "validate.go",
		old: "\t{\"suspended\", checkSuspended},\n", new: "",
		tests: []string{root},
	},
	{
		name: "cursors are not authenticated", file: "settings.go",
		old: "!hmac.Equal(b[16:], k.mac(list, id))", new: "!hmac.Equal(b[16:], b[16:])",
		tests: []string{root},
	},
	{
		name: "an outage grace is extended by every attempt", file: "internal/keycache/looker.go",
		old: "\t\tage < l.opts.Delay+l.opts.Grace &&\n", new: "\t\tnow.Since(o.ended) < l.opts.Delay+l.opts.Grace &&\n",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "an outage grace covers any trouble", file: "internal/keycache/looker.go",
		old: "\treturn o != nil && o.unreachable &&\n", new: "\treturn o != nil &&\n",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "fresh for one instant too long", file: "internal/keycache/looker.go",
		old: "\tif age >= l.opts.Delay && !l.graced(now, age) {", new: "\tif age > l.opts.Delay && !l.graced(now, age) {",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "a strict admission believes what is remembered", file: "admit.go",
		old: "outcomes[i].changed = a.unasked != nil && !c.memory", new: "outcomes[i].changed = a.unasked == nil && !c.memory",
		tests: []string{root},
	},
	{
		name: "a request that its limits refuse counts a use", file: "internal/sqlstore/admit.go",
		old: "\t\tif !a.Granted(grants[i]) {\n", new: "\t\tif len(grants[i].Parts) == 0 {\n",
		tests: []string{sqlite},
	},
	{
		name: "a strict request believes a look from before it", file: "internal/keycache/ask.go",
		old: "\t\tif a.number > asked {\n", new: "\t\tif a.number >= asked {\n",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "what a strict look dropped is used", file: "internal/keycache/keycache.go",
		old: "\tif !c.holds(now, e) {\n", new: "\tif e.dead(now) {\n",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "a change is dropped only before it is sent", file: "internal/keycache/looker.go",
		old: "\tdefer l.opts.Drop(changes)\n", new: "",
		tests: []string{"./internal/keycache"},
	},
	{
		name: "tenant condition dropped from changes of resources", file: "store/sqlite/queries.go",
		old: "WHERE r.id = ? AND r.kind = ? AND (? = 0 OR r.organization_id = ?)", new: "WHERE r.id = ? AND r.kind = ? AND (? = 0 OR ? IS NOT NULL)",
		tests: []string{sqlite},
	},
	{
		name: "uses are taken out of the log and not added", file: "internal/sqlstore/fold.go",
		old: "return more, s.addDeltas(ctx, tx, deltas(sums))", new: "return more, nil",
		tests: []string{sqlite},
	},
	{
		name: "uses are added and stay in the log", file: "internal/sqlstore/fold.go",
		old: "removed, err := tx.Exec(ctx, s.st.DeleteLogged, s.dialect.Numbers(ids))", new: "removed, err := int64(len(ids)), error(nil)",
		tests: []string{sqlite},
	},
	{
		name: "a page of the log is read again and again", file: "internal/sqlstore/fold.go",
		old: "ids, last = append(ids, l.id), l.id", new: "ids = append(ids, l.id)",
		tests: []string{sqlite},
	},
	{
		name: "adding up ends after one transaction", file: "internal/sqlstore/fold.go",
		old: "\t\tif !more {\n", new: "\t\tif more || !more {\n",
		tests: []string{sqlstore},
	},
	{
		name: "what somebody else has added up is added again", file: "internal/sqlstore/fold.go",
		old: "\tcase removed != int64(len(ids)):\n", new: "\tcase removed < 0:\n",
		tests: []string{sqlstore},
	},
	{
		name: "a count is read before the log is added up", file: "internal/sqlstore/fold.go",
		old: "if err != nil || !logged {", new: "if err != nil || !logged || s.foldUses > 0 {",
		tests: []string{sqlite},
	},
	{
		name: "uses are added to a day, not to their hour", file: "internal/sqlstore/usagelog.go",
		old: "at.Truncate(time.Hour)", new: "at.Truncate(24 * time.Hour)",
		tests: []string{sqlstore},
	},
	{
		name: "adding up takes the last use back", file: "internal/sqlstore/usagelog.go",
		old: "if at.After(s.last) {", new: "if !at.Equal(s.last) {",
		tests: []string{sqlstore},
	},
	{
		name: "an admission is not logged", file: "internal/sqlstore/admit.go",
		old: "_, err := tx.Exec(ctx, s.st.LogUses, s.dialect.Time(at), logged(uses))", new: "_, err := s.dialect.Time(at), error(nil)",
		tests: []string{sqlite},
	},
	{
		name: "an admission is logged after its charge was committed", file: "internal/sqlstore/admit.go",
		old:   "\t\tuses := admitted(admissions, grants)\n",
		new:   "\t\treturn nil\n\t})\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\terr = s.transact(ctx, TxOptions{}, func(tx Tx) error {\n\t\tuses := admitted(admissions, grants)\n",
		tests: []string{faulttest},
	},
	{
		name: "copies of a request are one use", file: "internal/sqlstore/admit.go",
		old: "uses[n].count++", new: "uses[n].count = 1",
		tests: []string{sqlite},
	},
	{
		name: "uses of another secret count for the first", file: "internal/sqlstore/admit.go",
		old: "n, known := of[secret{a.KeyID, a.Secret}]", new: "n, known := of[secret{a.KeyID, 1}]",
		tests: []string{sqlite},
	},
	{
		name: "an admission that failed is repeated", file: "admit.go",
		old: "\tc.folder.noted.Store(true)\n\tif err != nil {\n", new: "\tc.folder.noted.Store(true)\n\tif err != nil {\n\t\tgrants, err = c.store.Admit(ctx, c.now(), admissions)\n\t}\n\tif err != nil {\n",
		tests: []string{root},
	},
	{
		name: "nothing is added up in the background", file: "admit.go",
		old: "\tc.folder.noted.Store(true)\n\tif err != nil {\n", new: "\tif err != nil {\n",
		tests: []string{root},
	},
	{
		name: "what could not be added up is not tried again", file: "fold.go",
		old: "!errors.Is(err, context.Canceled) {\n\t\tc.folder.noted.Store(true)\n", new: "!errors.Is(err, context.Canceled) {\n",
		tests: []string{root},
	},
	{
		name: "a closed client leaves what it noted", file: "fold.go",
		old: "\treturn c.fold(ctx)\n", new: "\treturn nil\n",
		tests: []string{root},
	},
}
