package pages

import (
	"cmp"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/apikeys-platform/apikeys"
)

// site has a method for each kind of request: it returns a template and what that shows,
// or the path of the page to go on with.
type site struct{ *apikeys.Client }

var first = apikeys.ListOptions{Limit: 200} // of each list

func (s site) home(r *http.Request, _ uuid.UUID) (string, any, error) {
	organizations, err := s.ListOrganizations(r.Context(), first)
	return "home.html", organizations.Items, err
}

func (s site) organization(r *http.Request, id uuid.UUID) (string, any, error) {
	organization, err := s.GetOrganization(r.Context(), id)
	projects, err1 := s.ListProjects(r.Context(), id, first)
	products, err2 := s.ListProducts(r.Context(), id, first)
	keys, err3 := s.ListKeys(r.Context(), apikeys.KeyFilter{OrganizationID: id}, first)
	return "organization.html", map[string]any{"Organization": organization, "Projects": projects.Items, "Products": products.Items, "Keys": keys.Items}, cmp.Or(err, err1, err2, err3)
}

func (s site) project(r *http.Request, id uuid.UUID) (string, any, error) {
	project, err := s.GetProject(r.Context(), id)
	if err != nil {
		return "", nil, err
	}
	products, err := s.ListProducts(r.Context(), project.OrganizationID, first)
	linked, err1 := s.ListProjectProducts(r.Context(), id)
	keys, err2 := s.ListKeys(r.Context(), apikeys.KeyFilter{ProjectID: id}, first)
	return "project.html", map[string]any{"Project": project, "Products": products.Items, "Linked": linked, "Keys": keys.Items}, cmp.Or(err, err1, err2)
}

func (s site) key(r *http.Request, id uuid.UUID) (string, any, error) {
	key, err := s.GetKey(r.Context(), id)
	return "key.html", key, err
}

// change does what a form asks of something, and goes back to it.
func (s site) change(r *http.Request, id uuid.UUID) (_ string, shown any, err error) {
	ctx, name, product := r.Context(), r.PostFormValue("name"), parse(r.PostFormValue("product"))
	switch r.PathValue("kind") + "/" + r.PathValue("verb") {
	case "/":
		_, err = s.CreateOrganization(ctx, name)
	case "organizations/projects":
		_, err = s.CreateProject(ctx, id, name)
	case "organizations/products":
		_, err = s.CreateProduct(ctx, id, name)
	case "organizations/suspend":
		_, err = s.SuspendOrganization(ctx, id)
	case "organizations/resume":
		_, err = s.ResumeOrganization(ctx, id)
	case "projects/link":
		err = s.AddProductToProject(ctx, product, id)
	case "projects/unlink":
		err = s.RemoveProductFromProject(ctx, product, id)
	case "keys/revoke":
		_, err = s.RevokeKey(ctx, id, apikeys.RevokeParams{})
	case "keys/rotate":
		shown, err = s.RotateKey(ctx, id, apikeys.RotateParams{})
		return "issued.html", shown, err
	default:
		err = errors.New("there is no such form")
	}
	return path.Dir(r.URL.EscapedPath()), nil, err
}

// issue makes a new key, which is shown this once.
func (s site) issue(r *http.Request, _ uuid.UUID) (string, any, error) {
	form := r.PostFormValue
	limits, err := apikeys.ParseRateLimits(form("rate_limits"))
	if err != nil {
		return "", nil, err
	}
	issued, err := s.CreateKey(r.Context(), apikeys.CreateKeyParams{
		OrganizationID: parse(form("organization")), ProjectID: parse(form("project")), ProductID: parse(form("product")), OwnerID: form("user"),
		Metadata: apikeys.KeyMetadata{Name: form("name"), Scopes: strings.Fields(form("scopes")), RateLimits: limits},
	})
	return "issued.html", issued, err
}

func (s site) form(*http.Request, uuid.UUID) (string, any, error) { return "verify.html", "", nil }

// verify is a use of the key: it counts, and charges the key's limits.
func (s site) verify(r *http.Request, _ uuid.UUID) (string, any, error) {
	v, err := s.Validate(r.Context(), r.PostFormValue("key"), apikeys.ValidateParams{Scopes: strings.Fields(r.PostFormValue("scopes"))})
	return "verify.html", map[string]any{"Key": v.Key(), "Refusal": err}, nil
}
