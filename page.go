package apikeys

import "github.com/google/uuid"

// How much a page holds.
const (
	defaultPage = 50
	maxPage     = 200
)

// paginate reads one page of a list. Pages go by id, the greatest first: what
// is added meanwhile comes before the first page and moves nothing. The list's name
// holds all that selects its items, so that a cursor works nowhere else.
func paginate[T any](c *Client, list string, opts ListOptions, read func(before uuid.UUID, limit int) ([]T, error), id func(T) uuid.UUID) (Page[T], error) {
	limit := opts.Limit
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > maxPage {
		return Page[T]{}, invalid("Limit", "must be between 1 and %d, or 0 for %d", maxPage, defaultPage)
	}
	before, err := c.shared.Load().cursors.decode(list, opts.Cursor)
	if err != nil {
		return Page[T]{}, err
	}
	items, err := read(before, limit+1) // one more, to know whether there is a next page
	if err != nil {
		return Page[T]{}, err
	}
	page := Page[T]{Items: items}
	if len(items) > limit {
		page.Items = items[:limit]
		page.NextCursor = c.shared.Load().cursors.encode(list, id(items[limit-1]))
	}
	return page, nil
}
