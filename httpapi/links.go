package httpapi

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// The products that are linked to a project.
func linkRoutes() []route {
	const linkage = "/projects/{id}/relationships/products"
	return []route{
		{pattern: "GET /projects/{id}/products", do: (*call).listLinked},
		{pattern: "GET " + linkage, do: (*call).listLinks},
		{pattern: "POST " + linkage, do: (*call).addLinks},
		{pattern: "DELETE " + linkage, do: (*call).removeLinks},
	}
}

// linked returns the products of the project in the path.
func (c *call) linked() ([]apikeys.Product, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	return c.client.ListProjectProducts(c.ctx(), id)
}

func (c *call) listLinked() (answer, error) {
	items, err := c.linked()
	if err != nil {
		return answer{}, err
	}
	return c.list("", resources(items, products().resource(c.api))), nil
}

func (c *call) listLinks() (answer, error) {
	items, err := c.linked()
	if err != nil {
		return answer{}, err
	}
	list := make([]identifier, len(items))
	for i, p := range items {
		list[i] = identifier{typeProducts, p.ID.String()}
	}
	return answer{doc: &document{Data: list, Links: c.pageLinks("")}}, nil
}

func (c *call) addLinks() (answer, error) { return c.changeLinks(c.client.AddProductToProject) }

func (c *call) removeLinks() (answer, error) { return c.changeLinks(c.client.RemoveProductFromProject) }

// maxLinks bounds how many products one request links.
const maxLinks = 100

// changeLinks goes through the products of the body one by one. Each change can be
// repeated, so a request that failed on the way can be sent again.
func (c *call) changeLinks(change func(context.Context, uuid.UUID, uuid.UUID) error) (answer, error) {
	if err := c.forManagers(); err != nil {
		return answer{}, err
	}
	project, err := c.id()
	if err != nil {
		return answer{}, err
	}
	if _, err := c.client.GetProject(c.ctx(), project); err != nil {
		return answer{}, err
	}
	ids, err := c.linkedIDs()
	if err != nil {
		return answer{}, err
	}
	for _, id := range ids {
		if _, err := c.client.GetProduct(c.ctx(), id); err != nil {
			return answer{}, err // before anything is changed
		}
	}
	for _, id := range ids {
		if err := change(c.ctx(), id, project); err != nil {
			return answer{}, err
		}
	}
	return answer{}, nil
}

// linkedIDs reads the products that the body names.
func (c *call) linkedIDs() ([]uuid.UUID, error) {
	body, err := readBody(c.r)
	if err != nil {
		return nil, err
	}
	if err := body.only("data", "jsonapi"); err != nil {
		return nil, err
	}
	items, ok := body.fields["data"].([]any)
	if !ok || len(items) > maxLinks {
		return nil, body.wrong("data", "This must be a list of at most "+strconv.Itoa(maxLinks)+" products.")
	}
	ids := make([]uuid.UUID, len(items))
	for i, item := range items {
		fields, _ := item.(map[string]any)
		o := object{at: "/data/" + strconv.Itoa(i), fields: fields}
		text, err := o.identifier(typeProducts)
		if err != nil {
			return nil, err
		}
		if ids[i], err = o.uuid(text); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
