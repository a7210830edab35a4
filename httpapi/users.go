package httpapi

import "github.com/apikeys-platform/apikeys"

// Keys by their user. Users are the host's: they are known here by id alone, and
// one without keys is not told from one that does not exist.

// user returns the id in the path; to a user, nobody else exists.
func (c *call) user() (string, error) {
	id := c.r.PathValue("id")
	switch {
	case c.who.isUser() && id != c.who.OwnerID:
		return "", errNotFound
	case !couldBeOwner(id):
		return "", errBadRequest.with("No user has this id.")
	}
	return id, nil
}

func (c *call) createKeyOf() (answer, error) {
	user, err := c.user()
	if err != nil {
		return answer{}, err
	}
	data, err := c.data(typeKeys, "")
	if err != nil {
		return answer{}, err
	}
	params, err := keyParams(data)
	if err != nil {
		return answer{}, err
	}
	if params.OwnerID != "" && params.OwnerID != user {
		return answer{}, errTypeMismatch.with("This is not the user of this path.").at(relationshipsAt + "/user")
	}
	params.OwnerID = user
	return c.issue(params)
}

func (c *call) listKeysOfUser() (answer, error) {
	user, err := c.user()
	if err != nil {
		return answer{}, err
	}
	return c.listKeysOf(user)
}

// userOfKey answers with the linkage of a key to its user; null if it has none.
func (c *call) userOfKey() (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	id, err := c.id()
	if err != nil {
		return answer{}, err
	}
	key, err := c.client.GetKey(c.ctx(), id)
	if err != nil {
		return answer{}, err
	}
	self := c.api.self(typeKeys, key.ID.String()) + "/relationships/user"
	return answer{doc: &document{Data: linkage(key), Links: &links{Self: self}}}, nil
}

// linkage is an untyped nil for none, which is null.
func linkage(k *apikeys.Key) any {
	if k.OwnerID == "" {
		return nil
	}
	return identifier{typeUsers, k.OwnerID}
}
