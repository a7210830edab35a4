// Package pythonsdk reads the database of the Python SDK apikeys-platform, of version
// 0.1 or 0.2, and moves what is in it over: organizations, projects, products, links
// and keys. The texts of the keys go on working.
//
//	from, err := pythonsdk.Open("sqlite:///old.db") // or a *sql.DB of yours
//	client, err := apikeys.New(ctx, db, apikeys.Config{
//		SigningSecret: secret,
//		Imported: []apikeys.ImportedKeys{{Scheme: apikeys.ImportPythonSDK, Secret: theirs}},
//	})
//	report, err := pythonsdk.Import(ctx, client, from, pythonsdk.Options{})
//
// The database that is read is not changed. Its tables are taken as SQLAlchemy writes
// them in SQLite (ids of 32 hexadecimal digits, times as text), Postgres and
// MySQL/MariaDB; times without a zone are UTC. Both databases may be one and the same:
// the tables have other names.
//
// What is here already, by name or by hash, stays as it is: Import can be repeated, to
// go on after a failure or to take over what came in meanwhile. What cannot be kept
// exactly is refused, and told to Options.Refused.
package pythonsdk

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// Options say how a database is moved over. The zero value moves everything.
type Options struct {
	// DryRun writes nothing and reports what would happen.
	DryRun bool
	// PlainBefore says when the SDK was upgraded from 0.1: keys created before are
	// taken as that version hashed them, without a secret (apikeys.ImportPythonSDK01).
	// Zero: all keys are of version 0.2. The table does not tell.
	PlainBefore time.Time
	// LinkBound links products to projects where a key is bound to both. The SDK asked
	// no link of such keys; here they are refused without it.
	LinkBound bool
	// IDField is a field of the keys' custom data that their ids in the SDK's database
	// are kept in, so that they can be found by them. Empty: none.
	IDField string
	// Refused is told what was not moved, and why; Key is told what became of each
	// key, refused or not. nil: nobody is.
	Refused func(Refusal)
	Key     func(apikeys.ImportResult)
}

// Refusal is a row that was not moved.
type Refusal struct {
	Table string
	ID    string
	Err   error
}

// Report counts what became of the rows.
type Report struct {
	Organizations, Projects, Products, Links, Keys Count
}

// Count counts the rows of one table. In a dry run, Created are those that would be.
type Count struct{ Created, Exists, Refused int }

// Import moves what is in a database over, through client, whose Config.Imported names
// the schemes of the keys. An error comes with the report up to it; call it again.
func Import(ctx context.Context, client *apikeys.Client, from *sql.DB, opts Options) (Report, error) {
	m := move{
		client: client, from: from, opts: opts,
		ids: map[uuid.UUID]uuid.UUID{}, planned: map[uuid.UUID]bool{}, links: map[link]bool{},
	}
	for _, step := range []func(context.Context) error{m.organizations, m.projects, m.products, m.linked, m.keys} {
		if err := step(ctx); err != nil {
			return m.report, err
		}
	}
	return m.report, nil
}

// move is one call of Import.
type move struct {
	client *apikeys.Client
	from   *sql.DB
	opts   Options
	report Report
	// ids leads from their ids to ours. What a dry run would make is planned, and has
	// their id.
	ids     map[uuid.UUID]uuid.UUID
	planned map[uuid.UUID]bool
	links   map[link]bool // ours, that stand or are planned
}

type link struct{ project, product uuid.UUID }

func (m *move) refuse(count *Count, table, id string, err error) {
	count.Refused++
	if m.opts.Refused != nil {
		m.opts.Refused(Refusal{table, id, err})
	}
}

// settle counts a row that was looked for and made if it was not there. Its own error
// is one that is not about the row.
func (m *move) settle(count *Count, table string, r resource, id uuid.UUID, created bool, err error) error {
	switch {
	case aboutRow(err):
		m.refuse(count, table, r.id.String(), err)
		return nil
	case err != nil:
		return err
	case created:
		count.Created++
	default:
		count.Exists++
	}
	m.ids[r.id] = id
	return nil
}

func aboutRow(err error) bool {
	return errors.Is(err, apikeys.ErrInvalidArgument) || errors.Is(err, apikeys.ErrNotFound) || errors.Is(err, apikeys.ErrBeyondGrant)
}

func (m *move) organizations(ctx context.Context) error {
	return each(ctx, m, "organizations", readOrganization, queryOrganizations, func(r resource) error {
		find := func() (uuid.UUID, error) { return idOf(m.client.FindOrganization(ctx, r.name)) }
		id, created, err := m.ensure(r, find, func() (uuid.UUID, bool, error) {
			o, created, err := m.client.GetOrCreateOrganization(ctx, r.name)
			id, err := idOf(o, err)
			return id, created, err
		})
		return m.settle(&m.report.Organizations, "organizations", r, id, created, err)
	})
}

func (m *move) projects(ctx context.Context) error {
	return owned(ctx, m, "projects", queryProjects, &m.report.Projects, m.client.FindProject, m.client.GetOrCreateProject)
}

func (m *move) products(ctx context.Context) error {
	return owned(ctx, m, "products", queryProducts, &m.report.Products, m.client.FindProduct, m.client.GetOrCreateProduct)
}

// owned moves what organizations own and has a name.
func owned[T apikeys.Project | apikeys.Product](ctx context.Context, m *move, table, query string, count *Count,
	find func(context.Context, uuid.UUID, string) (*T, error), make func(context.Context, uuid.UUID, string) (*T, bool, error),
) error {
	return each(ctx, m, table, readOwned, query, func(r resource) error {
		owner := m.ids[r.organization]
		there := func() (uuid.UUID, error) { return idOf(find(ctx, owner, r.name)) }
		id, created, err := m.ensure(r, there, func() (uuid.UUID, bool, error) {
			made, created, err := make(ctx, owner, r.name)
			id, err := idOf(made, err)
			return id, created, err
		})
		return m.settle(count, table, r, id, created, err)
	})
}

// ensure makes what has a name, or, in a dry run, plans it.
func (m *move) ensure(r resource, find func() (uuid.UUID, error), make func() (uuid.UUID, bool, error)) (uuid.UUID, bool, error) {
	if r.organization != uuid.Nil && m.ids[r.organization] == uuid.Nil {
		return uuid.Nil, false, &apikeys.NotFoundError{Kind: apikeys.KindOrganization, ID: r.organization}
	}
	if !m.opts.DryRun {
		return make()
	}
	id, err := find()
	if errors.Is(err, apikeys.ErrNotFound) {
		m.planned[r.id] = true
		return r.id, true, nil
	}
	return id, false, err
}

// idOf returns the id of what a method of the client returned.
func idOf[T apikeys.Organization | apikeys.Project | apikeys.Product](v *T, err error) (uuid.UUID, error) {
	if err != nil {
		return uuid.Nil, err
	}
	switch v := any(v).(type) {
	case *apikeys.Organization:
		return v.ID, nil
	case *apikeys.Project:
		return v.ID, nil
	case *apikeys.Product:
		return v.ID, nil
	}
	return uuid.Nil, nil
}

// linked copies the links.
func (m *move) linked(ctx context.Context) error {
	known := map[uuid.UUID]bool{} // projects whose links here were read
	return each(ctx, m, "project_products", readLink, queryLinks, func(l link) error {
		ours := link{m.ids[l.project], m.ids[l.product]}
		if ours.project == uuid.Nil || ours.product == uuid.Nil {
			err := &apikeys.NotFoundError{Kind: apikeys.KindProject, ID: l.project}
			if ours.project != uuid.Nil {
				err = &apikeys.NotFoundError{Kind: apikeys.KindProduct, ID: l.product}
			}
			m.refuse(&m.report.Links, "project_products", l.project.String()+" "+l.product.String(), err)
			return nil
		}
		if !known[ours.project] && !m.planned[ours.project] {
			known[ours.project] = true
			products, err := m.client.ListProjectProducts(ctx, ours.project)
			if err != nil {
				return err
			}
			for _, p := range products {
				m.links[link{ours.project, p.ID}] = true
			}
		}
		if m.links[ours] {
			m.report.Links.Exists++
			return nil
		}
		err := m.link(ctx, ours)
		if aboutRow(err) { // they are of two organizations
			m.refuse(&m.report.Links, "project_products", l.project.String()+" "+l.product.String(), err)
			return nil
		}
		return err
	})
}

func (m *move) link(ctx context.Context, l link) error {
	if !m.opts.DryRun {
		if err := m.client.AddProductToProject(ctx, l.product, l.project); err != nil {
			return err
		}
	}
	m.links[l] = true
	m.report.Links.Created++
	return nil
}
