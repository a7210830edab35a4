package token

import "strings"

// A claim is a head that secret scanners take for the start of somebody else's credential.
type claim struct {
	head  string
	owner string
	// inside: a scanner finds it in the middle of a word too, because its rule asks for no word boundary. Then
	// task_live is taken for sk_live, and berlin_api for lin_api.
	inside bool
}

func (c claim) reason() string {
	return "must not make keys that secret scanners report as those of " + c.owner + " (" + c.head + "_...)"
}

// claimOn returns the claim that head runs into. A head is claimed if it is listed, if it goes on after a listed
// one with an underscore (github_pat_eu), or if it ends in a listed one that is also found inside words.
func claimOn(head string) (claim, bool) {
	for _, c := range claims {
		if rest, ok := strings.CutPrefix(head, c.head); ok && (rest == "" || rest[0] == '_') {
			return c, true
		}
		if c.inside && strings.HasSuffix(head, c.head) {
			return c, true
		}
	}
	return claim{}, false
}

// claims is sorted by head. It holds what is claimed by the rules of gitleaks 8.30, TruffleHog 3, detect-secrets,
// Nosey Parker and Kingfisher, and by the partners of GitHub's secret scanning, as far as it can be written as a
// head. Credentials whose prefix ends in another separator (glpat-, xoxb-, hvs.) or is in upper case (AKIA, CCIPAT_)
// are here for people, who do not see the difference, and for scanners that ignore it.
//
// Not here: sk, which several services put before keys of other lengths; and sk_prod and rk_prod, which gitleaks
// labels Stripe's though Stripe issues no such keys, so that nobody is told.
var claims = [...]claim{
	{head: "akia", owner: "AWS"},
	{head: "api_org", owner: "Hugging Face"},
	{head: "apify_api", owner: "Apify"},
	{head: "asia", owner: "AWS"},
	{head: "bkua", owner: "Buildkite"},
	{head: "ccipat", owner: "CircleCI"},
	{head: "clojars", owner: "Clojars"},
	{head: "dapi", owner: "Databricks"},
	{head: "dckr_oat", owner: "Docker"},
	{head: "dckr_pat", owner: "Docker"},
	{head: "doo_v1", owner: "DigitalOcean"},
	{head: "dop_v1", owner: "DigitalOcean"},
	{head: "dor_v1", owner: "DigitalOcean"},
	{head: "duffel_live", owner: "Duffel", inside: true},
	{head: "duffel_test", owner: "Duffel", inside: true},
	{head: "eyj", owner: "JSON Web Tokens"},
	{head: "figd", owner: "Figma"},
	{head: "fm1a", owner: "Fly.io"},
	{head: "fm1r", owner: "Fly.io"},
	{head: "fm2", owner: "Fly.io"},
	{head: "fo1", owner: "Fly.io"},
	{head: "gho", owner: "GitHub", inside: true},
	{head: "ghp", owner: "GitHub", inside: true},
	{head: "ghr", owner: "GitHub", inside: true},
	{head: "ghs", owner: "GitHub", inside: true},
	{head: "ghu", owner: "GitHub", inside: true},
	{head: "github_pat", owner: "GitHub"},
	{head: "glagent", owner: "GitLab"},
	{head: "glc", owner: "Grafana"},
	{head: "glcbt", owner: "GitLab"},
	{head: "gldt", owner: "GitLab"},
	{head: "glffct", owner: "GitLab"},
	{head: "glft", owner: "GitLab"},
	{head: "glimt", owner: "GitLab"},
	{head: "gloas", owner: "GitLab"},
	{head: "glpat", owner: "GitLab"},
	{head: "glptt", owner: "GitLab"},
	{head: "glrt", owner: "GitLab"},
	{head: "glsa", owner: "Grafana"},
	{head: "glsoat", owner: "GitLab"},
	{head: "gsk", owner: "Groq"},
	{head: "hf", owner: "Hugging Face"},
	{head: "hvb", owner: "HashiCorp Vault"},
	{head: "hvs", owner: "HashiCorp Vault"},
	{head: "lin_api", owner: "Linear", inside: true},
	{head: "lin_oauth", owner: "Linear"},
	{head: "lsv2", owner: "LangSmith"},
	{head: "nfp", owner: "Netlify"},
	{head: "npm", owner: "npm"},
	{head: "ntn", owner: "Notion"},
	{head: "pcsk", owner: "Pinecone"},
	{head: "pk_live", owner: "Stripe"},
	{head: "pk_test", owner: "Stripe"},
	{head: "pnu", owner: "Prefect"},
	{head: "pplx", owner: "Perplexity"},
	{head: "pscale_oauth", owner: "PlanetScale"},
	{head: "pscale_pw", owner: "PlanetScale"},
	{head: "pscale_tkn", owner: "PlanetScale"},
	{head: "pypi", owner: "PyPI"},
	{head: "r8", owner: "Replicate"},
	{head: "rdme", owner: "ReadMe"},
	{head: "rk_live", owner: "Stripe", inside: true},
	{head: "rk_test", owner: "Stripe"},
	{head: "rubygems", owner: "RubyGems"},
	{head: "rzp_live", owner: "Razorpay"},
	{head: "rzp_test", owner: "Razorpay"},
	{head: "sb_secret", owner: "Supabase"},
	{head: "sbp", owner: "Supabase"},
	{head: "sgp", owner: "Sourcegraph"},
	{head: "shippo_live", owner: "Shippo"},
	{head: "shippo_test", owner: "Shippo"},
	{head: "shpat", owner: "Shopify"},
	{head: "shpca", owner: "Shopify"},
	{head: "shppa", owner: "Shopify"},
	{head: "shpss", owner: "Shopify"},
	{head: "sk_admin", owner: "OpenAI"},
	{head: "sk_ant", owner: "Anthropic"},
	{head: "sk_live", owner: "Stripe", inside: true},
	{head: "sk_proj", owner: "OpenAI"},
	{head: "sk_svcacct", owner: "OpenAI"},
	{head: "sk_test", owner: "Stripe"},
	{head: "sm_aat", owner: "SettleMint"},
	{head: "sm_pat", owner: "SettleMint"},
	{head: "sm_sat", owner: "SettleMint"},
	{head: "sntrys", owner: "Sentry"},
	{head: "sntryu", owner: "Sentry"},
	{head: "sq0atp", owner: "Square"},
	{head: "sq0csp", owner: "Square"},
	{head: "sqa", owner: "SonarQube"},
	{head: "sqp", owner: "SonarQube"},
	{head: "squ", owner: "SonarQube"},
	{head: "tfp", owner: "Typeform"},
	{head: "tskey", owner: "Tailscale"},
	{head: "unkey", owner: "Unkey"},
	{head: "whsec", owner: "Stripe"},
	{head: "xapp", owner: "Slack"},
	{head: "xoxa", owner: "Slack"},
	{head: "xoxb", owner: "Slack"},
	{head: "xoxe", owner: "Slack"},
	{head: "xoxo", owner: "Slack"},
	{head: "xoxp", owner: "Slack"},
	{head: "xoxr", owner: "Slack"},
	{head: "xoxs", owner: "Slack"},
}
