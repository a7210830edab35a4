package apikeys_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/apikeys-platform/apikeys"
)

func ExampleClient_GetOrganization() {
	client, acme := exampleClient()
	organization, err := client.GetOrganization(context.Background(), acme.ID)
	check(err)
	fmt.Println(organization.Name, organization.SuspendedAt.IsZero())
	// Output: Acme Inc true
}

func ExampleClient_FindOrganization() {
	client, acme := exampleClient()
	ctx := context.Background()
	found, err := client.FindOrganization(ctx, "Acme Inc")
	check(err)
	fmt.Println(found.ID == acme.ID)
	_, err = client.FindOrganization(ctx, "ACME INC") // names are compared byte by byte
	fmt.Println(errors.Is(err, apikeys.ErrNotFound))
	// Output:
	// true
	// true
}

func ExampleClient_ListOrganizations() {
	client, _ := exampleClient()
	ctx := context.Background()
	_, err := client.CreateOrganization(ctx, "Globex") // the newest comes first
	check(err)
	page, err := client.ListOrganizations(ctx, apikeys.ListOptions{Limit: 10})
	check(err)
	for _, organization := range page.Items {
		fmt.Println(organization.Name)
	}
	// Output:
	// Globex
	// Acme Inc
}

func ExampleClient_RenameOrganization() {
	client, acme := exampleClient()
	ctx := context.Background()
	globex, err := client.CreateOrganization(ctx, "Globex")
	check(err)
	renamed, err := client.RenameOrganization(ctx, acme.ID, "Acme Corp")
	check(err)
	fmt.Println(renamed.Name)

	_, err = client.RenameOrganization(ctx, acme.ID, "Globex")
	var exists *apikeys.AlreadyExistsError
	fmt.Println(errors.As(err, &exists), exists.ExistingID == globex.ID)
	// Output:
	// Acme Corp
	// true true
}

func ExampleClient_DeleteOrganization() {
	client, acme := exampleClient()
	ctx := context.Background()
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID})
	check(err)
	check(client.DeleteOrganization(ctx, acme.ID)) // with its projects, products and keys

	_, err = client.Verify(ctx, issued.Plaintext.Reveal())
	fmt.Println(err)
	// Output: apikeys: invalid key
}

func ExampleClient_ResumeOrganization() {
	client, acme := exampleClient()
	ctx := context.Background()
	_, err := client.SuspendOrganization(ctx, acme.ID)
	check(err)
	resumed, err := client.ResumeOrganization(ctx, acme.ID)
	check(err)
	fmt.Println(resumed.SuspendedAt.IsZero())
	// Output: true
}

func ExampleClient_CreateProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	_, err = client.CreateProject(ctx, acme.ID, "v1")
	var exists *apikeys.AlreadyExistsError
	fmt.Println(errors.As(err, &exists), exists.ExistingID == project.ID)
	// Output: true true
}

// Set-up that runs on every deploy.
func ExampleClient_GetOrCreateProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	for range 2 {
		project, created, err := client.GetOrCreateProject(ctx, acme.ID, "v1")
		check(err)
		fmt.Println(project.Name, created)
	}
	// Output:
	// v1 true
	// v1 false
}

func ExampleClient_GetProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	found, err := client.GetProject(ctx, project.ID)
	check(err)
	fmt.Println(found.Name, found.OrganizationID == acme.ID)
	// Output: v1 true
}

func ExampleClient_FindProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	_, err := client.FindProject(ctx, acme.ID, "v1")
	fmt.Println(errors.Is(err, apikeys.ErrNotFound))
	// Output: true
}

func ExampleClient_ListProjects() {
	client, acme := exampleClient()
	ctx := context.Background()
	_, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	page, err := client.ListProjects(ctx, acme.ID, apikeys.ListOptions{})
	check(err)
	fmt.Println(len(page.Items), page.Items[0].Name, page.NextCursor == "")
	// Output: 1 v1 true
}

func ExampleClient_RenameProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	renamed, err := client.RenameProject(ctx, project.ID, "v2")
	check(err)
	fmt.Println(renamed.Name)
	// Output: v2
}

func ExampleClient_DeleteProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	issued, err := client.CreateKey(ctx, apikeys.CreateKeyParams{OrganizationID: acme.ID, ProjectID: project.ID})
	check(err)
	check(client.DeleteProject(ctx, project.ID)) // and the keys that are bound to it
	_, err = client.GetKey(ctx, issued.Key.ID)
	fmt.Println(errors.Is(err, apikeys.ErrNotFound))
	// Output: true
}

func ExampleClient_CreateProduct() {
	client, acme := exampleClient()
	product, err := client.CreateProduct(context.Background(), acme.ID, "Maps API")
	check(err)
	fmt.Println(product.Name, product.OrganizationID == acme.ID)
	// Output: Maps API true
}

func ExampleClient_GetOrCreateProduct() {
	client, acme := exampleClient()
	ctx := context.Background()
	for range 2 {
		_, created, err := client.GetOrCreateProduct(ctx, acme.ID, "Maps API")
		fmt.Println(created, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleClient_GetProduct() {
	client, acme := exampleClient()
	ctx := context.Background()
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	found, err := client.GetProduct(ctx, product.ID)
	check(err)
	fmt.Println(found.Name)
	// Output: Maps API
}

func ExampleClient_FindProduct() {
	client, acme := exampleClient()
	ctx := context.Background()
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	found, err := client.FindProduct(ctx, acme.ID, "Maps API")
	check(err)
	fmt.Println(found.ID == product.ID)
	// Output: true
}

func ExampleClient_ListProducts() {
	client, acme := exampleClient()
	ctx := context.Background()
	_, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	page, err := client.ListProducts(ctx, acme.ID, apikeys.ListOptions{})
	check(err)
	fmt.Println(len(page.Items), page.Items[0].Name)
	// Output: 1 Maps API
}

func ExampleClient_RenameProduct() {
	client, acme := exampleClient()
	ctx := context.Background()
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	renamed, err := client.RenameProduct(ctx, product.ID, "Geo API")
	check(err)
	fmt.Println(renamed.Name)
	// Output: Geo API
}

func ExampleClient_DeleteProduct() {
	client, acme := exampleClient()
	ctx := context.Background()
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	check(client.DeleteProduct(ctx, product.ID))
	err = client.DeleteProduct(ctx, product.ID)
	var missing *apikeys.NotFoundError
	fmt.Println(errors.As(err, &missing), missing.Kind)
	// Output: true product
}

func ExampleClient_ListProjectProducts() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	check(client.AddProductToProject(ctx, product.ID, project.ID))
	products, err := client.ListProjectProducts(ctx, project.ID)
	check(err)
	fmt.Println(len(products), products[0].Name)
	// Output: 1 Maps API
}

func ExampleClient_RemoveProductFromProject() {
	client, acme := exampleClient()
	ctx := context.Background()
	project, err := client.CreateProject(ctx, acme.ID, "v1")
	check(err)
	product, err := client.CreateProduct(ctx, acme.ID, "Maps API")
	check(err)
	check(client.AddProductToProject(ctx, product.ID, project.ID))
	both := apikeys.CreateKeyParams{OrganizationID: acme.ID, ProjectID: project.ID, ProductID: product.ID}
	issued, err := client.CreateKey(ctx, both)
	check(err)

	check(client.RemoveProductFromProject(ctx, product.ID, project.ID))
	_, err = client.Validate(ctx, issued.Plaintext.Reveal(), apikeys.ValidateParams{})
	fmt.Println(errors.Is(err, apikeys.ErrInsufficientScope))
	// Output: true
}
